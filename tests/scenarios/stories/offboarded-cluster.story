# A living cluster leaves the hub because its owner wants it so.

create cluster shop
create cluster lab
wait until shop is wired
wait until lab is wired
wait until quiet

run hubward offboard lab --reason "the lab gets a connection of its own"
expect exit 0
wait until lab is offboarded
wait until quiet
walk lab -> api.partner.example:443 arrives
walk shop -> api.partner.example:443 arrives from egress
expect nothing was cut

# An event of the cluster does not bring it back, a person's word does.
send event of lab again
wait until quiet
expect state of lab = offboarded
run hubward approve lab --reason "back to the hub"
wait until lab is wired
walk lab -> api.partner.example:443 arrives from egress
