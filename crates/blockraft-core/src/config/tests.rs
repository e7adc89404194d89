use super::{Config, ConfigError, Options};

#[test]
fn the_defaults_fit_together() {
    assert_eq!(Config::new(Options::default()), Ok(Config::default()));
}

#[test]
fn options_that_do_not_fit_together_are_refused_by_name() {
    let refusal = |options| Config::new(options).err();
    let default = Options::default();
    let zero = |setting| Some(ConfigError::Zero { setting });
    assert_eq!(refusal(Options { heartbeat_ticks: 0, ..default }), zero("heartbeat_ticks"));
    assert_eq!(refusal(Options { append_entries_max: 0, ..default }), zero("append_entries_max"));
    assert_eq!(refusal(Options { inflight_messages_max: 0, ..default }), zero("inflight_messages_max"));
    assert_eq!(refusal(Options { persists_inflight_max: 0, ..default }), zero("persists_inflight_max"));
    let rare = ConfigError::HeartbeatsTooRare { heartbeat_ticks: 8, election_ticks_min: 15 };
    assert_eq!(refusal(Options { heartbeat_ticks: 8, ..default }), Some(rare));
    let empty = ConfigError::ElectionRangeEmpty { min: 15, max: 14 };
    assert_eq!(refusal(Options { election_ticks_max: 14, ..default }), Some(empty));
    let short = ConfigError::StallTooShort { commit_stall_ticks: 60, election_ticks_max: 30 };
    assert_eq!(refusal(Options { commit_stall_ticks: 60, ..default }), Some(short));
}

#[test]
fn one_timeout_for_all_is_allowed() {
    let fixed = Options { election_ticks_max: 15, ..Options::default() };
    assert!(Config::new(fixed).is_ok());
}
