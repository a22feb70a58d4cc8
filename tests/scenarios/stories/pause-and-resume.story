# During a change freeze the network team pauses the hub: nothing is written to it or to its spokes. Clusters that come meanwhile are
# looked at, and wired when the pause ends.

create cluster shop
wait until shop is wired
wait until quiet

run hubward pause main --reason "change freeze"
expect exit 0
mark
edit shop default route set properties.nextHopIpAddress = "10.9.9.9"
create cluster pay
wait until pay exists
advance 2h
expect count writes since mark = 0
run hubward status

run hubward resume main
expect exit 0
wait until pay is wired
wait until quiet
walk shop -> api.partner.example:443 arrives from egress
walk pay -> api.partner.example:443 arrives from egress
