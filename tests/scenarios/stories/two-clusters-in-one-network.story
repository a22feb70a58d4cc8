# Two clusters share a network: one pair of peerings and one route table serve both, and each has a subnet of its own that is
# switched by itself.

create cluster shop
wait until shop is wired
wait until quiet
mark

create cluster stock in network of shop
wait until stock is wired
walk shop -> api.partner.example:443 arrives from egress
walk stock -> api.partner.example:443 arrives from egress

# Only the rules and the subnet of the second are new to the hub.
expect count firewall updates since mark = 1
expect nothing was cut
