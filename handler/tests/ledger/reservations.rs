//! Reservations of ingress addresses: one document per hub, replaced only by who has read it last.

use std::net::Ipv4Addr;

use hubward_core::blueprint::{Reservations, Reserved};

use super::*;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 31);

#[tokio::test(start_paused = true)]
async fn what_is_reserved_is_read_back_as_it_was_and_hub_by_hub() {
    let bench = Bench::new().await;
    let kept = bench.ledger.reservations.of_hub("main").await.unwrap();
    assert_eq!(kept.table, Reservations::default());
    let mut table = reserved();
    table.retire(&cluster("a"), START + Duration::from_secs(3600));
    table.unserved.insert(cluster("b"));
    assert!(bench.ledger.reservations.replace("main", &kept, &table).await.unwrap());
    assert_eq!(bench.ledger.reservations.of_hub("main").await.unwrap().table, table);
    let other = bench.ledger.reservations.of_hub("north").await.unwrap();
    assert_eq!(other.table, Reservations::default());
}

#[tokio::test(start_paused = true)]
async fn two_looks_never_give_one_address_to_two_clusters() {
    let bench = Bench::new().await;
    let reservations = &bench.ledger.reservations;
    let (first, second) = (
        reservations.of_hub("main").await.unwrap(),
        reservations.of_hub("main").await.unwrap(),
    );
    assert!(reservations.replace("main", &first, &reserved()).await.unwrap());
    assert!(
        !reservations
            .replace("main", &second, &Reservations::default())
            .await
            .unwrap(),
        "the second has not seen what the first gave out"
    );
    let stale = first;
    assert!(
        !reservations
            .replace("main", &stale, &Reservations::default())
            .await
            .unwrap()
    );
    let fresh = reservations.of_hub("main").await.unwrap();
    assert_eq!(fresh.table, reserved());
    assert!(
        reservations
            .replace("main", &fresh, &Reservations::default())
            .await
            .unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_an_error_and_stays_where_it_is() {
    let bench = Bench::new().await;
    let kept = bench.ledger.reservations.of_hub("main").await.unwrap();
    assert!(
        bench
            .ledger
            .reservations
            .replace("main", &kept, &reserved())
            .await
            .unwrap()
    );
    let name = bench
        .storage()
        .blob_names(CONTAINER)
        .into_iter()
        .find(|name| name.starts_with("reservations/"))
        .unwrap();
    bench.damage(&name, "{").await;
    let error = bench.ledger.reservations.of_hub("main").await.unwrap_err();
    assert!(matches!(error, LedgerError::Damaged(_)), "{error}");
}

fn reserved() -> Reservations {
    let address = "/subscriptions/s/resourceGroups/hub/providers/Microsoft.Network/publicIPAddresses/hub-ingress-1";
    let holder = Reserved {
        address: ResourceId::parse(address).unwrap(),
        cluster: cluster("a"),
        quarantined_until: None,
    };
    Reservations {
        addresses: [(ADDRESS, holder)].into(),
        ..Reservations::default()
    }
}

fn cluster(name: &str) -> ResourceId {
    let id = format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/{name}");
    ResourceId::parse(&id).unwrap()
}
