# The cluster's identity gets the rights that AKS needs on what is no longer the cluster's alone: its route table and its subnets.
# Azure may take up to an hour until a right is in force everywhere, so a cluster that is switched is settling first, and wired when
# the rights can be relied upon.

create cluster shop
wait until shop is settling
walk shop -> api.partner.example:443 arrives from egress
run hubward wait shop --for wired
expect exit 0
wait until quiet
mark

advance 1h
expect state of shop = wired
expect count writes since mark = 0
