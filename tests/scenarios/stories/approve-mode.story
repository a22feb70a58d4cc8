# In mode approve Hubward plans, shows what it would do and waits for somebody's word. A pipeline that waits for the cluster learns
# that a person is needed.

config mode = "approve"

create cluster shop
wait until shop is pending_approval
run hubward status shop
run hubward wait shop --for wired --timeout 10m
expect exit 1
expect count writes = 0

run hubward approve shop --reason "change 4711"
expect exit 0
run hubward wait shop --for wired --timeout 1h
expect exit 0
walk shop -> api.partner.example:443 arrives from egress
expect nothing was cut
