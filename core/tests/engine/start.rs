//! What an engine refuses to start with.

use mintage::{Grade, Policy, RequiredGrade};

use crate::world::World;

#[tokio::test]
async fn a_policy_that_the_store_cannot_meet_is_told_why() {
    let world = World::new().await;
    assert!(world.engine.ready().await.is_ok());
    let required_grade =
        RequiredGrade { one_time: Grade::Volatile, stepped_up: Grade::PowerLossSafe };
    let refused = World::try_with(Policy { required_grade, ..Policy::default() }).await;
    let told = refused.err().unwrap().to_string();
    assert!(told.contains("PowerLossSafe") && told.contains("memory"), "{told}");
}

#[tokio::test]
async fn a_contradictory_policy_is_refused() {
    let policy = Policy { one_time: mintage::Lifetime::ZERO, ..Policy::default() };
    assert!(World::try_with(policy).await.is_err());
}
