# The network team has attached further addresses to the firewall. Hubward reserves one for each cluster and leads what comes to it to
# the cluster: here to its internal load balancer, which a tag of the cluster names. The return route lets the reply go back the way
# the request came.

hub with 2 ingress addresses
config hubs.main.ingress.sources = ["203.0.113.0/24"]

create cluster shop tag hubward-ingress-target = "10.1.0.50"
wait until shop exists
expose shop port 443 internally at 10.1.0.50
wait until shop is wired
wait until quiet
walk 203.0.113.77 -> ingress of shop:443

# Only from where the configuration says, only at the configured ports.
walk 203.0.113.77 -> ingress of shop:443 arrives
walk 192.0.2.7 -> ingress of shop:443 is dropped at firewall
walk 203.0.113.77 -> ingress of shop:22 is dropped at firewall
expect nothing was cut
