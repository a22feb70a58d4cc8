# The event of a cluster does not come. The first sweep finds the cluster and, not having heard of its creation, takes it for an older
# one: it looks and writes nothing. When the event comes at last, the cluster is wired.

withhold events of /resourceGroups/rg-shop
create cluster shop
wait until shop is observed
expect finding older_than_installation of shop
expect count writes = 0
release events
wait until shop is wired
walk shop -> api.partner.example:443 arrives from egress
