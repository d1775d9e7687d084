-- seg-000001.db: format 2
CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE task(id INTEGER PRIMARY KEY, plain INTEGER, uuid BLOB NOT NULL, name INTEGER, state INTEGER, hostname INTEGER, pid INTEGER, timestamp REAL, clock INTEGER, sent REAL, received REAL, started REAL, succeeded REAL, failed REAL, retried REAL, revoked REAL, rejected REAL, runtime REAL, retries INTEGER, eta TEXT, expires TEXT, queue INTEGER, exchange INTEGER, routing_key INTEGER, priority INTEGER, client INTEGER, root_id BLOB, parent_id BLOB, args TEXT, kwargs TEXT, result TEXT, exception TEXT, traceback TEXT, earlier TEXT, data TEXT, source INTEGER, lost TEXT, run INTEGER, clock_offset REAL, client_offset REAL, queue_wait REAL, event_times TEXT);
CREATE TABLE word(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, UNIQUE(kind, value));
CREATE UNIQUE INDEX task_uuid ON task(uuid);

-- meta.db: format 2
CREATE TABLE batch(sequence INTEGER PRIMARY KEY, time REAL, touched INTEGER, ids BLOB, odd TEXT, complete INTEGER);
CREATE TABLE gap(id TEXT PRIMARY KEY, start REAL, end REAL, reason TEXT, cause TEXT, worker TEXT) WITHOUT ROWID;
CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE segment(number INTEGER PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE tally(number INTEGER PRIMARY KEY, sequence INTEGER, data BLOB);
CREATE TABLE worker(hostname TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE worker_log(at REAL, hostname TEXT, event TEXT, data TEXT);
CREATE INDEX worker_log_at ON worker_log(at);
CREATE INDEX worker_log_hostname ON worker_log(hostname, at);

-- ledger.db: format 2
CREATE TABLE audit ( id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, way TEXT NOT NULL, token TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, target_count INTEGER NOT NULL, parameters TEXT NOT NULL, outcome TEXT NOT NULL, message TEXT NOT NULL ) STRICT;
CREATE TABLE audit_target ( entry INTEGER NOT NULL REFERENCES audit (id) ON DELETE CASCADE, place INTEGER NOT NULL, target TEXT NOT NULL, PRIMARY KEY (entry, place) ) STRICT, WITHOUT ROWID;
CREATE TABLE ended_session (id TEXT PRIMARY KEY, expires REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE failure_note ( failure TEXT PRIMARY KEY, decision TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, until REAL, comment TEXT NOT NULL ) STRICT, WITHOUT ROWID;
CREATE TABLE failure_seen (failure TEXT PRIMARY KEY, first REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE gap_dismissal ( gap TEXT PRIMARY KEY, by TEXT NOT NULL, at REAL NOT NULL ) STRICT, WITHOUT ROWID;
CREATE TABLE job ( seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, action TEXT NOT NULL, state TEXT NOT NULL, who TEXT NOT NULL, created REAL NOT NULL, ended REAL, query TEXT NOT NULL, signal TEXT NOT NULL, rate REAL NOT NULL, total INTEGER NOT NULL, aborting INTEGER NOT NULL, holder TEXT, until REAL ) STRICT;
CREATE TABLE job_item ( job INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE, place INTEGER NOT NULL, task TEXT NOT NULL, new_task TEXT, outcome TEXT NOT NULL, message TEXT NOT NULL, begun REAL, ended REAL, PRIMARY KEY (job, place) ) STRICT, WITHOUT ROWID;
CREATE TABLE queue_coarse(queue TEXT, at INTEGER, count INTEGER, ready REAL, ready_most INTEGER, unacknowledged INTEGER, consumers INTEGER, oldest REAL, PRIMARY KEY(queue, at)) WITHOUT ROWID;
CREATE TABLE queue_sample(queue TEXT, at INTEGER, count INTEGER, ready REAL, ready_most INTEGER, unacknowledged INTEGER, consumers INTEGER, oldest REAL, PRIMARY KEY(queue, at)) WITHOUT ROWID;
CREATE TABLE rerun ( seq INTEGER PRIMARY KEY, task TEXT NOT NULL UNIQUE, origin TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL, edited INTEGER NOT NULL, sent INTEGER NOT NULL, job TEXT, priority INTEGER ) STRICT;
CREATE TABLE search ( id TEXT PRIMARY KEY, name TEXT NOT NULL, query TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL, columns TEXT NOT NULL, sort TEXT NOT NULL, owner TEXT NOT NULL, shared INTEGER NOT NULL, at REAL NOT NULL, time TEXT NOT NULL DEFAULT '' ) STRICT;
CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE session_cutoff ( all_users INTEGER NOT NULL, user TEXT NOT NULL, at REAL NOT NULL, expires REAL NOT NULL, PRIMARY KEY (all_users, user) ) STRICT, WITHOUT ROWID;
CREATE TABLE sqlite_sequence(name,seq);
CREATE TABLE token ( id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL, owner TEXT NOT NULL, way TEXT NOT NULL, permissions TEXT NOT NULL, made REAL NOT NULL, expires REAL, used REAL, used_from TEXT NOT NULL, revoked REAL, revoked_by TEXT NOT NULL ) STRICT;
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_target_target ON audit_target (target, entry);
CREATE INDEX audit_who ON audit (who, id);
CREATE INDEX job_item_outcome ON job_item (job, outcome, place);
CREATE UNIQUE INDEX job_item_task ON job_item (job, task);
CREATE INDEX job_running ON job (seq) WHERE state = 'running';
CREATE INDEX queue_coarse_at ON queue_coarse(at);
CREATE INDEX queue_sample_at ON queue_sample(at);
CREATE INDEX rerun_origin ON rerun (origin, seq);
CREATE INDEX search_owner ON search (owner);
