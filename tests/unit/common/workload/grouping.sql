select 1
select 2
select 'x'
select -7
select 1.5e3
select $1
SELECT 1 -- comment
select /* a /* b */ c */ 1;
select true
select null
select a from t
SELECT A FROM T
select a, b from t
select b, a from t
select a as x from t
select a x from t
select t.a from t
select * from t where a = 1
select * from t where a = 'y'
select * from t where a = -1
select * from t where a = $1
select * from t where a = +1
select * from t where a <> 1
select * from t where a != 1
select * from t where a > 1 and b < 2
select * from t where b < 2 and a > 1
select * from t where a between 1 and 2
select * from t where a between -1 and $1
select * from t where a is null
select * from t where a is not null
select * from t where a = true
select * from t where a = false
select * from t where a
select * from t where not a
select * from t where a in (1)
select * from t where a in (1, 2, 3)
select * from t where a in ($1, $2, 'x', -4)
select * from t where a in (1, b)
select * from t where a not in (1, 2)
select * from t where a in (select b from u where c = 1)
select * from t where (a, b) in ((1, 2), (3, 4))
select * from t where (a, b) in ((1, 2))
select * from t where a = any ($1)
select * from t where a = any ('{1,2}')
select * from t where a = any (array[1, 2, 3])
select * from t where a = any (array[1])
select * from t where a like 'x%'
select * from t where a like $1 escape '!'
select * from t where a ~ '^x' or b ilike '%y'
select * from t where a @> '{"k": 1}' and b ->> 'k' = 'v'
select * from t where a ? 'k'
select * from t where a::text = 'x'
select * from t where cast(a as text) = 'x'
select * from t where created_at > now() - interval '1 day'
select * from t where created_at > now() - interval '7 days'
select * from t where created_at > now() - '7 days'::interval
select * from t where created_at >= date '2024-01-01'
select * from t where created_at >= '2024-02-01'::date
select * from t where created_at >= timestamp with time zone '2024-01-01 00:00+00'
select * from t where created_at at time zone 'UTC' > $1
select extract(year from created_at) from t
select extract(month from created_at) from t
select a::varchar(20), b::numeric(10, 2) from t
select substring(a from 1 for 2) from t
select f(1)
select f(1, 2)
select f(a, 1)
select count(*) from t
select count(a) from t
select count(distinct a) from t
select count(*) filter (where a > 1) from t
select a, count(*) from t group by a having count(*) > 5
select a, count(*) from t group by 1 having count(*) > 6
select a, b, count(*) from t group by 1, 2 order by 3 desc limit 10
select a from t order by 1
select a from t order by 2
select a from t order by a
select a from t order by a desc nulls last limit 10 offset 20
select a from t order by a desc nulls last limit $1 offset $2
select a from t limit 10
select a from t fetch first 5 rows only
select a from t for update
select a from t for update skip locked
select distinct a from t
select distinct on (a) a, b from t order by a, b
select a, rank() over (partition by b order by c) from t
select case when a > 1 then 'x' else 'y' end from t
select case when a > -1 then -2 end from t
select coalesce(a, 0), nullif(b, '') from t
select a[1], b[2:3] from t
select array[1, 2]
select array[a, b] from t
select row(1, 2)
select (1, 2)
select "a" from "t"
select "A" from "t"
select * from a join b on a.id = b.a_id where b.x = 1
select * from a inner join b on a.id = b.a_id where b.x = 2
select * from a left join b using (id)
select * from a, b where a.id = b.a_id and b.x = 1
select * from b, a where a.id = b.a_id and b.x = 1
select * from t x where x.a = 1
select * from t y where y.a = 1
select * from (select a from t where b = 1) s where s.a > 2
select * from generate_series(1, 10)
select * from (values (1, 'a'), (2, 'b')) v (x, y)
select * from (values (3, 'c')) v (x, y)
select 1 union all select 2
select a from t union select b from u
select exists (select 1 from t where a = 1)
with x as (select a from t where b = 1) select * from x
with x as (select a from t where b = 2) select * from x
with x as (delete from t where a = 1 returning *) insert into u select * from x
insert into t (a, b) values (1, 'x')
insert into t (a, b) values (2, 'y'), (3, 'z')
insert into t (a, b) values (2, null), (3, 'z'), ($1, $2)
INSERT INTO t (a, b) VALUES ($1, $2) RETURNING id
insert into t (a, b) values (1, default)
insert into t values (1, 'x')
insert into t (a) values (1) on conflict (a) do update set b = excluded.b
insert into t (a) values (1) on conflict do nothing
insert into t (a, b) select a, 1 from u where c = 2
update t set a = 1 where b = 2
update t set a = a + 1 where b = 3
update t set a = a - 1 where b = 3
update t set a = a -2 where b = 3
update t set a = 1, b = 2 where c = 3
update t set (a, b) = (1, 2) where c = 3
update t set a = u.a from u where u.id = t.id and u.b = 1
delete from t where a = 1
delete from t where a in (1, 2)
delete from t using u where t.a = u.a
merge into t using u on t.a = u.a when matched then update set b = 1 when not matched then insert values (1, 2)
select pg_advisory_lock(1)
select E'a\'b', $$c$$, $x$d$x$, B'101', X'1F', N'n', U&'\0061'
select 'a'
 'b'
select 1; select 2
begin
BEGIN;
commit
rollback
select -5::int from t
select 5::int from t
