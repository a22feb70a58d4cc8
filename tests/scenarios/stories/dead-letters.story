# The app is away for longer than Event Grid tries: a day. What could not be delivered lies in the dead-letter container, and a
# replay of it brings the cluster in.

stop app
create cluster shop
advance 25h
start app
advance 10m
run hubward status
run hubward replay --dead-letter
expect exit 0
wait until shop is wired
walk shop -> api.partner.example:443 arrives from egress
