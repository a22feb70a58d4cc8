# Event Grid delivers at least once: the same event again, also in the middle of the work, costs no further write.

create cluster shop
wait until shop exists
advance 1m
send event of shop again
send event of shop again
wait until shop is wired

mark
send event of shop again
send event of shop again
wait until quiet
expect count writes since mark = 0
expect no change since mark
expect state of shop = wired
