# A cluster already serves the internet when Hubward comes to wire it. Its answers would be lost with the switch, so everything is
# prepared and the switch waits until the owner of the cluster accepts exactly that.

hub with 1 ingress addresses
config hubs.main.ingress.sources = ["192.0.2.0/24"]

withhold events
create cluster shop
wait until shop exists
expose shop port 443
walk 192.0.2.7 -> service of shop:443 arrives

release events
wait until shop is prepared
wait until quiet
expect finding live_public_inbound of shop
run hubward plan --cluster shop
walk 192.0.2.7 -> service of shop:443 arrives

# The owner has led the clients elsewhere.
run hubward approve shop --reason "clients use the new address"
wait until shop is wired
expect no finding live_public_inbound of shop
walk shop -> api.partner.example:443 arrives from egress
walk 192.0.2.7 -> service of shop:443 is dropped
