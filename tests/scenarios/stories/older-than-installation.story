# A cluster that was there before Hubward is only observed: its owner has not asked for anything. A younger one is wired.

app is not installed

create cluster old
wait until old exists
start app
wait until old is observed
expect finding older_than_installation of old
wait until quiet
expect count writes = 0

create cluster young
wait until young is wired
wait until quiet
expect state of old = observed
expect nothing was cut
