# An approval is for what was shown and for the cluster that it was shown of. What somebody undoes by hand later waits for a word of
# its own, so do rules that the cluster needs later, and a cluster that is made again under an old name inherits nothing.

config mode = "approve"
config hubs.main.ingress.sources = ["203.0.113.0/24"]
hub with 1 ingress addresses

create cluster shop
wait until shop is pending_approval
run hubward approve shop --reason "change 4711"
wait until shop is wired
wait until quiet
mark

# Somebody takes the table off the subnet, and the timer sees it.
edit shop subnet remove properties.routeTable
timer fires
timer fires
wait until quiet
expect state of shop = pending_approval
expect count writes since mark = 0
run hubward approve shop --reason "change 4712"
wait until quiet
walk shop -> api.partner.example:443 arrives from egress

# A tag leads clients elsewhere: rules of the hub that nobody has agreed to.
mark
expose shop port 443 internally at 10.1.0.50
edit shop set tags = {"hubward-ingress-target": "10.1.0.50"}
timer fires
wait until quiet
expect state of shop = pending_approval
expect count writes since mark = 0

# Another cluster of the same name.
delete group rg-shop
wait until shop is gone
wait until quiet
run hubward approve shop --reason "change 4713"
wait until shop is offboarded
wait until quiet
mark
create cluster shop
wait until shop is pending_approval
wait until quiet
expect count writes since mark = 0
