# SPDX-License-Identifier: ISC
# Ruby's pg: the scenarios of scenarios.py.
require 'pg'

def open_one = PG.connect(application_name: 'drivers')

def check(got, want)
  raise "#{got.inspect[0, 200]} instead of #{want.inspect[0, 80]}" unless got == want
end

def one(c, sql, values = nil) = (values ? c.exec_params(sql, values) : c.exec(sql)).getvalue(0, 0)

def code
  yield
rescue PG::Error => e
  e.result ? e.result.error_field(PG::PG_DIAG_SQLSTATE) : e.message
else
  raise 'no error'
end

SCENARIOS = {
  'connect' => lambda { |c|
    check([one(c, 'SELECT current_user'), one(c, 'SHOW application_name')], [ENV['PGUSER'], 'drivers'])
    check(c.parameter_status('client_encoding'), 'UTF8')
  },
  'parameters' => lambda { |c|
    bytes = (0..255).to_a.pack('C*')
    r = c.exec_params('SELECT $1::text, $2::int, $3::text, $4::bytea', ["ü'\"\\", 42, nil, { value: bytes, format: 1 }], 0)
    check([r.getvalue(0, 0).force_encoding('UTF-8'), r.getvalue(0, 1), r.getvalue(0, 2), PG::Connection.unescape_bytea(r.getvalue(0, 3)) == bytes], ["ü'\"\\", '42', nil, true])
  },
  'settings' => lambda { |c|
    c.exec("SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo'")
    10.times { check([one(c, 'SHOW work_mem'), one(c, 'SHOW TimeZone')], ['7MB', 'Asia/Tokyo']) }
    c.set_client_encoding('LATIN1')
    check(one(c, 'SHOW client_encoding'), 'LATIN1')
  },
  'prepared' => lambda { |c|
    c.prepare('a', 'SELECT $1::int + 1')
    c.prepare('b', "SELECT $1::text || 'x'")
    20.times { |i| check([c.exec_prepared('a', [i]).getvalue(0, 0), c.exec_prepared('b', [i]).getvalue(0, 0)], [(i + 1).to_s, "#{i}x"]) }
    check(c.describe_prepared('b').nparams, 1)
    c.exec('DEALLOCATE a')
    check(code { c.exec_prepared('a', [1]) }, '26000')
  },
  'batch' => lambda { |c|
    c.enter_pipeline_mode
    20.times { |i| c.send_query_params('SELECT 10 / ($1::int - 10)', [i]) }
    c.pipeline_sync
    states = 20.times.map do
      r = c.get_last_result rescue $!.result
      r.result_status
    end
    check(states, [PG::PGRES_TUPLES_OK] * 10 + [PG::PGRES_FATAL_ERROR] + [PG::PGRES_PIPELINE_ABORTED] * 9)
    check(c.get_result.result_status, PG::PGRES_PIPELINE_SYNC)
    c.exit_pipeline_mode
    check(code { c.exec('SELECT 1; SELECT 1/0; SELECT 2') }, '22012')
    check(one(c, 'SELECT 1'), '1')
  },
  'transactions' => lambda { |c|
    c.exec('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE')
    c.transaction do
      check(one(c, 'SHOW transaction_isolation'), 'serializable')
      c.exec("INSERT INTO items (name) VALUES ('kept')")
      c.exec('SAVEPOINT s')
      c.exec("INSERT INTO items (name) VALUES ('undone')")
      c.exec('ROLLBACK TO s')
    end
    c.exec('BEGIN')
    c.exec("INSERT INTO items (name) VALUES ('gone')")
    check([code { c.exec('SELECT 1/0') }, code { c.exec('SELECT 1') }], %w[22012 25P02])
    c.exec('ROLLBACK')
    check(one(c, "SELECT string_agg(name, ',') FROM items"), 'kept')
    check(c.exec('DELETE FROM items').cmd_tuples, 1)
  },
  'cursor' => lambda { |c|
    total = 0
    c.transaction do
      c.exec('DECLARE cur CURSOR FOR SELECT generate_series(1, 1000)')
      while (r = c.exec('FETCH 100 FROM cur')).ntuples.positive?
        total += r.column_values(0).sum(&:to_i)
      end
    end
    check(total, 500_500)
    c.send_query('SELECT generate_series(1, 1000)')
    c.set_single_row_mode
    check(c.get_result.stream_each.count, 1000)
    c.get_last_result
  },
  'copy' => lambda { |c|
    c.copy_data('COPY copied FROM STDIN') { 1000.times { |i| c.put_copy_data("#{i}\trow\n") } }
    rows = 0
    c.copy_data('COPY copied TO STDOUT') { rows += 1 while c.get_copy_data }
    check(rows, 1000)
    check(code { c.copy_data('COPY copied FROM STDIN') { c.put_copy_data("rubbish\trow\n") } }, '22P02')
    check(c.exec('DELETE FROM copied').cmd_tuples, 1000)
  },
  'cancel' => lambda { |c|
    c.send_query('SELECT pg_sleep(60)')
    other = open_one
    sleep 0.01 until one(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query = 'SELECT pg_sleep(60)'" \
                                ' AND datname = current_database()') == '1'
    c.cancel
    check(code { c.get_last_result }, '57014')
    check(one(c, 'SELECT 1'), '1')
    other.close
  },
  'notices' => lambda { |c|
    heard = []
    c.set_notice_receiver { |r| heard << r.error_field(PG::PG_DIAG_MESSAGE_PRIMARY) }
    check([one(c, 'SELECT loud($1)', ['ruby']), heard], ['ruby', ['hear ruby']])
  },
  'notify' => lambda { |c|
    c.exec('LISTEN chan')
    other = open_one
    other.exec("NOTIFY chan, 'hello'")
    got = nil
    c.wait_for_notify(10) { |_, _, payload| got = payload }
    check(got, 'hello')
    c.exec('UNLISTEN chan')
    other.close
  },
  'large' => lambda { |c|
    text = 'x' * 10_000_000
    check(one(c, 'SELECT $1::text', [text]) == text, true)
    check(c.exec('SELECT generate_series(1, 50000)').ntuples, 50_000)
  },
  'errors' => lambda { |c|
    check(['SELEKT', "INSERT INTO items (name) VALUES ('twice'), ('twice')", 'SELECT 1/0'].map { |t| code { c.exec(t) } }, %w[42601 23505 22012])
    c.exec('SET statement_timeout = 100')
    check(code { c.exec('SELECT pg_sleep(60)') }, '57014')
    check(one(c, 'SELECT 1'), '1')
  },
  'ddl' => lambda { |c|
    other = open_one
    c.exec('CREATE TABLE wide (a int)')
    c.prepare('w', 'SELECT * FROM wide')
    (1..3).each do |columns|
      8.times do
        check(c.exec_prepared('w').nfields, columns)
      rescue PG::FeatureNotSupported # as on a direct connection, until it is prepared anew
        c.exec('DEALLOCATE w')
        c.prepare('w', 'SELECT * FROM wide')
      end
      other.exec("ALTER TABLE wide ADD b#{columns} int")
    end
    other.close
  },
  'session' => lambda { |c|
    c.exec('CREATE TEMP TABLE mine (a int)')
    c.exec('INSERT INTO mine VALUES (8)')
    check(one(c, 'SELECT a FROM mine'), '8')
    c.exec('DROP TABLE mine')
    c.exec('BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3); COMMIT')
    check([c.exec('FETCH 2 FROM h').ntuples, c.exec('FETCH 2 FROM h').ntuples], [2, 1])
    c.exec('CLOSE h')
    other = open_one
    check([c, other].map { |x| one(x, 'SELECT pg_try_advisory_lock(77)') }, %w[t f])
    check([one(c, 'SELECT pg_advisory_unlock(77)'), one(other, 'SELECT pg_try_advisory_lock(77)')], %w[t t])
    other.close
  },
  'reconnect' => lambda { |c|
    code { c.exec('SELECT pg_terminate_backend(pg_backend_pid())') }
    c.reset
    check(one(c, 'SELECT 1'), '1')
  },
  'servers' => ->(c) { Array.new(30) { one(c, 'SELECT pg_backend_pid()') }.uniq.size }
}.freeze

$stdout.sync = true
ARGV.each do |name|
  c = open_one
  detail = SCENARIOS[name].call(c)
  puts [name, 'ok', name == 'servers' ? detail : ''].join("\t")
rescue StandardError => e
  puts [name, 'FAIL', "#{e.class}: #{e.message}".tr("\n\t", '  ')].join("\t")
ensure
  c.close if c && !c.finished?
end
