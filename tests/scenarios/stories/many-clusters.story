# Five clusters at once. A firewall takes one update at a time, minutes each, so the rules of all are written together: what
# arrives during a commit rides in the next.

create cluster shop
create cluster pay
create cluster search
create cluster mail
create cluster lab
wait until shop is wired
wait until pay is wired
wait until search is wired
wait until mail is wired
wait until lab is wired
expect count firewall updates <= 3
expect count throttled = 0
walk shop -> api.partner.example:443 arrives from egress
walk lab -> api.partner.example:443 arrives from egress
expect nothing was cut
