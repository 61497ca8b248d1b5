select app.streams_state() as state
