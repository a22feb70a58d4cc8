# Somebody deletes the resource group with the cluster, its network and its route table in it.

create cluster shop
wait until shop exists
create cluster lab
wait until lab is wired
wait until quiet

delete group rg-lab
wait until /resourceGroups/rg-lab is gone
wait until quiet
advance 1h
wait until quiet
expect state of lab = offboarded
walk shop -> api.partner.example:443 arrives from egress

# With the last cluster gone the rule collection group is gone too.
delete group rg-shop
wait until /resourceGroups/rg-shop is gone
wait until quiet
expect hub rules is gone
