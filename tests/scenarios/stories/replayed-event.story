# An operator replays what happened: archived events go down the one path again, with the replay named as their cause. What is as it
# should be stays; an old creation of a deleted cluster does nothing.

create cluster shop
wait until shop is wired
wait until quiet
edit shop default route set properties.nextHopIpAddress = "10.9.9.9"
mark

run hubward replay --event event:shop --dry-run
wait until quiet
expect count writes since mark = 0

run hubward replay --event event:shop
expect exit 0
wait until quiet
expect count writes since mark = 1
walk shop -> api.partner.example:443 arrives from egress

# The cluster is deleted, and somebody replays everything.
delete group rg-shop
wait until /resourceGroups/rg-shop is gone
wait until quiet
mark
run hubward replay --since 2026-01-05T08:00:00Z
wait until quiet
expect no change since mark
