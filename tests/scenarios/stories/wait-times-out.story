# A pipeline creates a cluster and waits until it is wired before it rolls anything out. A wait whose time is over ends with 1, so that
# the pipeline stops; nothing else ends.

create cluster shop
wait until shop exists
run hubward wait shop --for wired --timeout 1m
expect exit 1
run hubward wait shop --for wired --timeout 30m
expect exit 0
# Settling is wired for those who wait: traffic flows, and rights are still on their way.
expect state of shop = settling
