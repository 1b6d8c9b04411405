module github.com/picket-dns/picket

go 1.26
