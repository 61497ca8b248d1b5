-- One page of a table.
select {columns} from {table} order by {order} limit %(limit)s offset %(offset)s
