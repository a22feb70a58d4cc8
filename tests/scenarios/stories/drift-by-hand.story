# Somebody changes what Hubward owns, and no event tells of it. The cluster's partner is cut off at once; the next look, whatever
# causes it, finds the field, and puts back that field and nothing else.

create cluster shop
wait until shop is wired
walk shop -> api.partner.example:443 arrives from egress
wait until quiet
mark

edit shop default route set properties.nextHopIpAddress = "10.9.9.9"
walk shop -> api.partner.example:443 is dropped

# What would be done is shown before anything is done.
run hubward plan --cluster shop
expect exit 1
expect output has "hubward-default"

send event of shop again
wait until quiet
walk shop -> api.partner.example:443 arrives from egress
expect count writes since mark = 1
expect no change since mark
