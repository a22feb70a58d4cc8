# Without a load balancer of its own to lead to, a cluster gets an application address: a public address in a resource group of its
# own, on which the cluster's identity gets the rights to use it. A finding tells the owner which annotations a service needs.
#
# The return route is what makes the reply find its client: without it the answer would leave through the firewall, from another
# address than the one that was called.

hub with 1 ingress addresses
config hubs.main.ingress.sources = ["203.0.113.0/24"]

create cluster shop
wait until shop is wired
wait until quiet
expect finding ingress_address of shop
expect shop application address exists
walk 203.0.113.77 -> ingress of shop:443 is dropped

expose shop port 443 at application address
walk 203.0.113.77 -> ingress of shop:443

edit shop return route set properties.nextHopType = "None"
walk 203.0.113.77 -> ingress of shop:443 is dropped
run hubward apply shop --reason "clients get no answer"
wait until quiet
walk 203.0.113.77 -> ingress of shop:443 arrives
