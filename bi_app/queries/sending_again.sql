-- Have an own mail sent again.
select app.send_again(%(sending)s) as found
