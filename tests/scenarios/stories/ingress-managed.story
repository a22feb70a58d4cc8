# Where no addresses are provided, Hubward may keep a small pool of its own: it attaches one to the firewall for each cluster and a
# spare one, so that the next cluster does not have to wait for it.

config hubs.main.ingress.addresses = "managed"
config hubs.main.ingress.sources = ["203.0.113.0/24"]

create cluster shop tag hubward-ingress-target = "10.1.0.50"
wait until shop exists
expose shop port 443 internally at 10.1.0.50
create cluster pay tag hubward-ingress-target = "10.2.0.50"
wait until pay exists
expose pay port 443 internally at 10.2.0.50
wait until shop is wired
wait until pay is wired
wait until quiet
run hubward status
walk 203.0.113.77 -> ingress of shop:443 arrives
walk 203.0.113.77 -> ingress of pay:443 arrives
expect nothing was cut
