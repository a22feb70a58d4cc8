# A cluster that acts as a service principal names an application, and Hubward cannot ask the directory whose it is. A finding says
# what to configure, everything else is prepared, and with the object id the cluster becomes a full citizen.

create cluster shop with service principal 6a1f0000-0000-4000-8000-000000000030
wait until shop is prepared
expect finding service_principal_unknown of shop
wait until quiet
walk shop -> api.partner.example:443 arrives

config service_principals.6a1f0000-0000-4000-8000-000000000030 = "6a1f0000-0000-4000-8000-000000000031"
run hubward apply shop --reason "its object id is configured"
wait until shop is wired
expect no finding service_principal_unknown of shop
walk shop -> api.partner.example:443 arrives from egress
