-- The viewer agrees to a history from now on, or takes that back; false where it is so already.
select app.say_of_history(%(agreed)s) as said
