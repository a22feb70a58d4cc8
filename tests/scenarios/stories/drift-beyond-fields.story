# Somebody puts a table of their own onto a wired cluster's subnet, and somebody else cuts a peering. There is nothing that the app may
# write, and all the same nothing is as it should be: the report says so.

create cluster shop
create cluster lab
wait until shop is wired
wait until lab is wired
wait until quiet
run hubward drift
expect exit 0

stop app
mark
put /resourceGroups/rg-shop/providers/Microsoft.Network/routeTables/mine {"location": "westeurope", "properties": {"routes": []}}
edit shop subnet set properties.routeTable.id = "/subscriptions/5b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg-shop/providers/Microsoft.Network/routeTables/mine"
run hubward drift
expect exit 1
edit lab peering set properties.peeringState = "Disconnected"
edit lab hub peering set properties.peeringState = "Disconnected"
run hubward drift
expect exit 1
run hubward drift --cluster lab --json
expect exit 1
