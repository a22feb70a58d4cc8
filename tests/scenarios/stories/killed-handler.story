# The process dies in the middle of the work, and so does the machine. Whoever takes the work up finds in Azure what is done and
# in the ledger what is owed; nothing is made twice and nobody is cut off.

create cluster shop
wait until shop exists
advance 30s
kill handler
advance 2m
kill machine
advance 1m
kill handler
wait until shop is wired
walk shop -> api.partner.example:443 arrives from egress
expect nothing was cut

# A write under which the process died may be sent once more, with the same body; the firewall takes one update.
expect count firewall updates <= 2
