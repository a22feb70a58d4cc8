# A kubenet cluster: its subnet carries a route table that AKS keeps, with a route to each node's pods. Hubward puts its two routes
# into that very table and leaves all else in it alone; it is never replaced, taken off or deleted.

create cluster legacy kubenet
wait until legacy exists
expect field legacy route table properties.routes.0.properties.nextHopType = "VirtualAppliance"
wait until legacy is wired
walk legacy -> api.partner.example:443 arrives from egress
walk legacy -> not-allowed.example:443 is dropped at firewall
expect legacy default route exists
expect legacy return route exists
wait until quiet

# Somebody takes one of the two away; the other routes of the table are not Hubward's to touch.
mark
delete legacy return route
send event of legacy again
wait until quiet
expect legacy return route exists
expect count writes since mark = 1
