# SPDX-License-Identifier: ISC
# Perl's DBD::Pg: the scenarios of scenarios.py. VARIANT '0': pg_server_prepare off.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types);
use IO::Select;
use POSIX ();

my $server_prepare = $ENV{VARIANT} eq '0' ? 0 : 1;

sub open_one {
    my $c = DBI->connect("dbi:Pg:host=$ENV{PGHOST};port=$ENV{PGPORT};dbname=$ENV{PGDATABASE};application_name=drivers", $ENV{PGUSER}, $ENV{PGPASSWORD},
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => $server_prepare }) or die $DBI::errstr;
    return $c;
}

sub check {
    my ($got, $want) = map { join('|', map { $_ // 'NULL' } @$_) } map { ref $_ ? $_ : [$_] } @_;
    die substr($got, 0, 200) . ' instead of ' . substr($want, 0, 80) . "\n" if $got ne $want;
}

sub one { my ($c, $sql, @values) = @_; return ($c->selectrow_array($sql, undef, @values))[0]; }

sub code {
    my ($c, $sql, @values) = @_;
    eval { $c->do($sql, undef, @values); 1 } and die "no error\n";
    return $c->state;
}

my %scenarios = (
    connect => sub {
        my $c = shift;
        check([one($c, 'SELECT current_user'), one($c, 'SHOW application_name')], [$ENV{PGUSER}, 'drivers']);
    },
    parameters => sub {
        my $c = shift;
        my $bytes = join '', map { chr } 0 .. 255;
        for (1 .. 3) {
            my $s = $c->prepare('SELECT ?::text, ?::int, ?::bigint, ?::text, ?::bytea, ?::int[]');
            $s->bind_param(1, "ü'\"\\");
            $s->bind_param(2, 42);
            $s->bind_param(3, 1 << 40);
            $s->bind_param(4, undef);
            $s->bind_param(5, $bytes, { pg_type => PG_BYTEA });
            $s->bind_param(6, [1, 2]);
            $s->execute;
            my @r = $s->fetchrow_array;
            check([@r[0 .. 3], $r[4] eq $bytes, @{ $r[5] }], ["ü'\"\\", 42, 1 << 40, undef, 1, 1, 2]);
        }
    },
    settings => sub {
        my $c = shift;
        $c->do("SET work_mem = '7MB'");
        $c->do("SET TimeZone = 'Asia/Tokyo'");
        check([one($c, 'SHOW work_mem'), one($c, 'SHOW TimeZone')], ['7MB', 'Asia/Tokyo']) for 1 .. 10;
    },
    prepared => sub {
        my $c = shift;
        my ($x, $y) = ($c->prepare('SELECT ?::int + 1'), $c->prepare("SELECT ?::text || 'x'"));
        for my $i (1 .. 20) {
            $x->execute($i);
            $y->execute($i);
            check([$x->fetchrow_array, $y->fetchrow_array], [$i + 1, "${i}x"]);
        }
        undef $x; # the driver deallocates by SQL
        $y->execute('y');
        check($y->fetchrow_array, 'yx');
    },
    batch => sub {
        my $c = shift;
        my $s = $c->prepare('INSERT INTO items (name, n) VALUES (?, ?)');
        $s->execute_array({}, [map { "b$_" } 1 .. 200], [1 .. 200]);
        check(code($c, 'SELECT 1; SELECT 1/0; SELECT 2'), '22012');
        check($c->do('DELETE FROM items'), 200);
    },
    transactions => sub {
        my $c = shift;
        $c->do('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE');
        $c->begin_work;
        check(one($c, 'SHOW transaction_isolation'), 'serializable');
        $c->do("INSERT INTO items (name) VALUES ('kept')");
        $c->pg_savepoint('s');
        $c->do("INSERT INTO items (name) VALUES ('undone')");
        $c->pg_rollback_to('s');
        $c->commit;
        $c->begin_work;
        $c->do("INSERT INTO items (name) VALUES ('gone')");
        check([code($c, 'SELECT 1/0'), code($c, 'SELECT 1')], ['22012', '25P02']);
        $c->rollback;
        check(one($c, "SELECT string_agg(name, ',') FROM items"), 'kept');
        check($c->do('DELETE FROM items'), 1);
    },
    cursor => sub {
        my $c = shift;
        $c->begin_work;
        $c->do('DECLARE cur CURSOR FOR SELECT generate_series(1, 1000)');
        my $s = $c->prepare('FETCH 100 FROM cur');
        my $n = 0;
        while (1) {
            $s->execute;
            last if $s->rows == 0;
            $n += $s->rows;
        }
        $c->commit;
        check($n, 1000);
    },
    copy => sub {
        my $c = shift;
        $c->do('COPY copied FROM STDIN');
        $c->pg_putcopydata("$_\trow\n") for 1 .. 1000;
        $c->pg_putcopyend;
        $c->do('COPY copied TO STDOUT');
        my ($rows, $row) = (0, '');
        $rows++ while $c->pg_getcopydata($row) >= 0;
        check($rows, 1000);
        $c->do('COPY copied FROM STDIN');
        $c->pg_putcopydata("rubbish\trow\n");
        eval { $c->pg_putcopyend; 1 } and die "no error\n";
        check($c->state, '22P02');
        check($c->do('DELETE FROM copied'), 1000);
    },
    cancel => sub {
        my $c = shift;
        my $s = $c->prepare('SELECT pg_sleep(60)', { pg_async => PG_ASYNC });
        $s->execute;
        my $other = open_one();
        while (one($other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'"
                . ' AND datname = current_database()') != 1) {
            select undef, undef, undef, 0.01;
        }
        check($c->pg_cancel, 1);
        check(one($c, 'SELECT 1'), 1);
        $other->disconnect;
    },
    notices => sub {
        my $c = shift;
        my @heard;
        local $SIG{__WARN__} = sub { push @heard, $_[0] };
        $c->{PrintWarn} = 1;
        check(one($c, 'SELECT loud(?)', 'perl'), 'perl');
        check(scalar(grep { /NOTICE: +hear perl/ } @heard), 1);
    },
    notify => sub {
        my $c = shift;
        $c->do('LISTEN chan');
        my $other = open_one();
        $other->do("NOTIFY chan, 'hello'");
        $other->disconnect;
        IO::Select->new($c->{pg_socket})->can_read(10);
        my $got = $c->pg_notifies;
        check([$got->[0], $got->[2]], ['chan', 'hello']);
        $c->do('UNLISTEN chan');
    },
    large => sub {
        my $c = shift;
        my $text = 'x' x 10_000_000;
        check(one($c, 'SELECT ?::text', $text) eq $text, 1);
        check(scalar(@{ $c->selectall_arrayref('SELECT generate_series(1, 50000)') }), 50000);
    },
    errors => sub {
        my $c = shift;
        check([map { code($c, $_) } 'SELEKT', "INSERT INTO items (name) VALUES ('twice'), ('twice')", 'SELECT 1/0'], ['42601', '23505', '22012']);
        $c->do('SET statement_timeout = 100');
        check(code($c, 'SELECT pg_sleep(60)'), '57014');
        check(one($c, 'SELECT 1'), 1);
    },
    ddl => sub { # a statement handle that meets more columns than at its first execute crashes the driver, directly too
        my $c = shift;
        my $other = open_one();
        $c->do('CREATE TABLE wide (a int)');
        $c->do('INSERT INTO wide VALUES (1)');
        for my $columns (1 .. 3) {
            for (1 .. 8) {
                my @row = $c->selectrow_array('SELECT * FROM wide WHERE a = ?', undef, 1);
                check(scalar(@row), $columns);
            }
            $other->do("ALTER TABLE wide ADD b$columns int");
        }
        $other->disconnect;
    },
    session => sub {
        my $c = shift;
        $c->do('CREATE TEMP TABLE mine (a int)');
        $c->do('INSERT INTO mine VALUES (?)', undef, 8);
        check(one($c, 'SELECT a FROM mine'), 8);
        $c->do('DROP TABLE mine');
        $c->do('BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT');
        check([map { scalar @{ $c->selectall_arrayref('FETCH 2 FROM h') } } 1, 2], [2, 1]);
        $c->do('CLOSE h');
        my $other = open_one();
        check([map { one($_, 'SELECT pg_try_advisory_lock(77)') } $c, $other], [1, 0]);
        check([one($c, 'SELECT pg_advisory_unlock(77)'), one($other, 'SELECT pg_try_advisory_lock(77)')], [1, 1]);
        $other->disconnect;
    },
    reconnect => sub {
        my $c = shift;
        code($c, 'SELECT pg_terminate_backend(pg_backend_pid())');
        check($c->ping ? 1 : 0, 0);
        my $again = open_one();
        check(one($again, 'SELECT 1'), 1);
        $again->disconnect;
    },
    servers => sub {
        my $c = shift;
        my %seen;
        $seen{ one($c, 'SELECT pg_backend_pid()') } = 1 for 1 .. 30;
        return scalar keys %seen;
    },
);

$| = 1;
for my $name (@ARGV) {
    my $c = eval { open_one() };
    my $detail = eval { die $@ if !$c; $name eq 'servers' ? $scenarios{$name}->($c) : ($scenarios{$name}->($c), '')[-1] };
    my $why = $@;
    $why =~ tr/\n\t/  /;
    print $why eq '' ? "$name\tok\t$detail\n" : "$name\tFAIL\t$why\n";
    eval { $c->disconnect } if $c;
}
