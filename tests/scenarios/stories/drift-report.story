# Somebody bends everything that Hubward owns of a cluster. The report names each field with what it is and what it should be; asked to
# put it right, the app writes what differs and nothing else.

create cluster shop
wait until shop is wired
wait until quiet
mark

run hubward drift
expect exit 0

edit shop default route set properties.nextHopIpAddress = "10.9.9.9"
edit shop return route set properties.nextHopType = "None"
edit shop peering set properties.allowForwardedTraffic = false
edit hub rules set properties.priority = 900
run hubward drift
expect exit 1
expect count writes since mark = 0

run hubward drift --fix
wait until quiet
run hubward drift
expect exit 0
walk shop -> api.partner.example:443 arrives from egress
expect no change since mark
