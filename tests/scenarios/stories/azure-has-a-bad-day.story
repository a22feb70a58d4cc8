# Azure refuses, fails and forgets. What may pass is tried again, an accepted write that failed is sent again, and an answer that
# was lost does not make a second resource.

create cluster shop
fail next PUT of subnet with 409 AnotherOperationInProgress
fail next PUT of rules later with InternalServerError
fail next PUT of peering by losing the answer
fail next GET of cluster with 503 ServiceUnavailable
wait until shop is wired
wait until quiet
walk shop -> api.partner.example:443 arrives from egress
expect nothing was cut
expect count firewall updates <= 2
