# A cluster is deleted. Its rules leave the firewall, its route table and the peerings go, and Azure is as it was before the cluster
# came. Its neighbour notices nothing.

create cluster shop
wait until shop is wired
wait until quiet
mark

create cluster lab
wait until lab is wired
wait until quiet
delete lab
wait until lab is gone
wait until quiet
run hubward status
delete group rg-lab
wait until /resourceGroups/rg-lab is gone
wait until quiet
expect no change since mark
walk shop -> api.partner.example:443 arrives from egress
