# A cluster leaves the hub. Its address rests, then another cluster gets it, and status names it for that one only.

hub with 1 ingress addresses
config hubs.main.ingress.sources = ["203.0.113.0/24"]
config hubs.main.ingress.quarantine_hours = 1
create cluster shop tag hubward-ingress-target = "10.1.0.50"
wait until shop exists
expose shop port 443 internally at 10.1.0.50
wait until shop is wired
wait until quiet
run hubward status
run hubward offboard shop --reason "it moves"
wait until shop is offboarded
wait until quiet
run hubward status
advance 5h
create cluster lab tag hubward-ingress-target = "10.2.0.50"
wait until lab exists
expose lab port 443 internally at 10.2.0.50
wait until lab is wired
wait until quiet
run hubward status
