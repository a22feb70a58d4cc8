# Three clusters of different shapes at once: Azure CNI, kubenet with the route table that AKS keeps for it, and a private API server.
# All three leave from the one address, for one update of the firewall or two.

create cluster shop
create cluster legacy kubenet
create cluster vault private
wait until shop is wired
wait until legacy is wired
wait until vault is wired

walk shop -> api.partner.example:443 arrives from egress
walk legacy -> api.partner.example:443 arrives from egress
walk vault -> api.partner.example:443 arrives from egress
walk legacy -> not-allowed.example:443 is dropped at firewall

# The API server of the private one is in its own network.
walk shop -> api of shop:443 arrives from egress
walk vault -> api of vault:443 arrives

expect count firewall updates <= 2
expect nothing was cut
