# Nobody tells of this change either, and no event of the cluster comes. The timer does: the first sweep after the installation
# looks and writes nothing, and the next one puts the field back.

create cluster shop
wait until shop is wired
mark

edit shop return route set properties.nextHopType = "None"

# The first sweep.
advance 25m
expect count writes since mark = 0
expect field shop return route properties.nextHopType = "None"

# The second.
advance 30m
expect count writes since mark = 1
expect no change since mark
