-- One page of a table.
select {columns} from {table} where {where} order by {order} limit %(limit)s offset %(offset)s
