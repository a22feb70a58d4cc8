# Whoever can send events can claim anything. An event is only a hint: the resource is read before anything is believed, so a forged
# deletion unwires nobody, and a forged creation makes nothing.

create cluster shop
create cluster lab
wait until shop is wired
wait until lab is wired
delete group rg-lab
wait until /resourceGroups/rg-lab is gone
wait until quiet
mark

forge delete of shop
forge create of lab
advance 30m
wait until quiet
expect no change since mark
expect state of shop = wired
walk shop -> api.partner.example:443 arrives from egress
