# Two pools in two subnets: each subnet is switched by itself, one after the other, and nobody is cut off in between.

create cluster shop with two pools
wait until shop is wired
walk shop -> api.partner.example:443 arrives from egress
expect count firewall updates = 1
expect nothing was cut
