# A cluster in a network that AKS manages cannot be wired: AKS forbids changes there. Hubward says so, writes nothing, and takes no
# further interest.

create cluster odd in managed network
wait until odd is not_eligible
expect finding managed_virtual_network of odd
wait until quiet
expect count writes = 0
