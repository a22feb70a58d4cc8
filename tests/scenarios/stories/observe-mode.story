# In mode observe Hubward plans and proves, and writes nothing. Its plan is there to be read.

config mode = "observe"

create cluster shop
wait until shop exists
mark
wait until shop is observed
wait until quiet
expect count writes = 0
expect no change since mark

run hubward plan --cluster shop
expect output has "peer-spoke-to-hub"
expect output has "switch-nodes"

# The operator lets it write. The next event of the cluster brings it in.
config mode = "correct"
send event of shop again
wait until shop is wired
walk shop -> api.partner.example:443 arrives from egress
