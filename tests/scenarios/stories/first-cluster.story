# The first cluster of an installation, from the event of its creation to one egress address.
#
# Nobody touches anything: a person creates the cluster, and some minutes later its traffic leaves from the hub's one address.

create cluster shop
wait until shop exists

# Not wired yet: it leaves from an address of its own.
walk shop -> api.partner.example:443 arrives

wait until shop is wired
expect no finding live_public_inbound of shop

# What the operator allows leaves from the egress address, what nobody allows ends at the firewall.
walk shop -> mcr.microsoft.com:443 arrives from egress
walk shop -> api.partner.example:443 arrives from egress
walk shop -> api of shop:443 arrives from egress
walk shop -> not-allowed.example:443 is dropped at firewall

# The rules of a cluster are one update of the firewall, and on the way there nothing was lost that was reached before.
expect count firewall updates = 1
expect nothing was cut

# Everything is as it should be, so there is nothing to plan.
wait until quiet
run hubward plan --cluster shop
expect exit 0
