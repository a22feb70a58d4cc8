# What plan, explain and drift say of a cluster that leaves is what the app does: they show the way off the hub, never the way back onto
# it, and what still has to be proven of a cluster that nobody finds.

create cluster shop
create cluster lab
wait until shop is wired
wait until lab is wired
wait until quiet

stop app
run hubward plan --cluster shop
expect exit 0
start app
run hubward offboard shop --reason "it moves"
stop app
run hubward plan --cluster shop
expect exit 1
start app
wait until shop is offboarded
wait until quiet
run hubward plan --cluster shop
expect exit 0
run hubward explain shop
run hubward drift --cluster shop
expect exit 0

# Nobody tells the app that the lab is gone.
stop app
delete lab
wait until lab is gone
run hubward plan --cluster lab
expect exit 1
run hubward drift
expect exit 1
start app
wait until lab is offboarded
wait until quiet
run hubward plan --cluster lab
expect exit 0
