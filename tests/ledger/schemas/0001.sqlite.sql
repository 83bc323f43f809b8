BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE associations (
	id VARCHAR(64) NOT NULL, 
	journal VARCHAR(255) NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	called_ae_title VARCHAR(16) NOT NULL, 
	address VARCHAR(64) NOT NULL, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_associations PRIMARY KEY (id)
);
INSERT INTO "associations" VALUES('a1','20260301T075900000000-7.000001.jsonl','CT1','DICOMNODE','10.0.0.1','2026-03-01 08:00:00.000000','2026-03-01 08:00:03.000000','released');
INSERT INTO "associations" VALUES('a2','20260301T075900000000-7.000001.jsonl','CT1','DICOMNODE','10.0.0.1','2026-03-01 08:00:05.000000','2026-03-01 08:00:09.000000','released');
INSERT INTO "associations" VALUES('a3','20260301T075900000000-7.000001.jsonl','CT1','DICOMNODE','10.0.0.1','2026-03-01 08:00:20.000000',NULL,'open');
CREATE TABLE changes (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	entity VARCHAR(16) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	"before" VARCHAR(16), 
	"after" VARCHAR(16) NOT NULL, 
	cause TEXT NOT NULL, 
	CONSTRAINT pk_changes PRIMARY KEY (id)
);
INSERT INTO "changes" VALUES(1,'2026-03-01 08:00:01.000000','series','1.2.3',NULL,'arriving','as it came');
INSERT INTO "changes" VALUES(2,'2026-03-01 08:00:10.000000','series','1.2.3','arriving','complete','as it came');
INSERT INTO "changes" VALUES(3,'2026-03-01 08:00:10.000000','job','j1',NULL,'queued','as it came');
INSERT INTO "changes" VALUES(4,'2026-03-01 08:00:11.000000','job','j1','queued','running','as it came');
INSERT INTO "changes" VALUES(5,'2026-03-01 08:00:12.000000','job','j1','running','done','as it came');
INSERT INTO "changes" VALUES(6,'2026-03-01 08:00:12.000000','delivery','1',NULL,'owed','as it came');
CREATE TABLE commitments (
	transaction_uid VARCHAR(64) NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	at DATETIME NOT NULL, 
	sop_instance_uids JSON NOT NULL, 
	CONSTRAINT pk_commitments PRIMARY KEY (transaction_uid)
);
INSERT INTO "commitments" VALUES('1.9.1','CT1','2026-03-01 08:00:11.000000','["1.2.3.1", "1.2.3.2", "1.2.3.3"]');
CREATE TABLE conflicts (
	id INTEGER NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	digest VARCHAR(128) NOT NULL, 
	association_id VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_conflicts PRIMARY KEY (id)
);
INSERT INTO "conflicts" VALUES(1,'1.2.3.1','1.2.3','conflicts/1.dcm','other','a2','2026-03-01 08:00:07.000000');
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	destination VARCHAR(255) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempt INTEGER NOT NULL, 
	not_before DATETIME NOT NULL, 
	finished_at DATETIME, 
	error TEXT, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT fk_deliveries_sop_instance_uid FOREIGN KEY(sop_instance_uid) REFERENCES results (sop_instance_uid)
);
INSERT INTO "deliveries" VALUES(1,'2.25.1','pacs','owed',1,'2026-03-01 08:00:13.000000',NULL,'the peer does not answer');
CREATE TABLE instances (
	series_instance_uid VARCHAR(64) NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	transfer_syntax_uid VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	digest VARCHAR(128) NOT NULL, 
	association_id VARCHAR(64) NOT NULL, 
	received_at DATETIME NOT NULL, 
	duplicates INTEGER NOT NULL, 
	fault TEXT, 
	fields JSON NOT NULL, 
	CONSTRAINT pk_instances PRIMARY KEY (series_instance_uid, sop_instance_uid)
);
INSERT INTO "instances" VALUES('1.2.3','1.2.3.1','1.2.840.10008.5.1.4.1.1.2','1.2','1.2.840.10008.1.2.1','instances/1.2.3/1.dcm',1000,'d1','a1','2026-03-01 08:00:01.000000',0,NULL,'{"InstanceNumber": 1}');
INSERT INTO "instances" VALUES('1.2.3','1.2.3.2','1.2.840.10008.5.1.4.1.1.2','1.2','1.2.840.10008.1.2.1','instances/1.2.3/2.dcm',1000,'d2','a1','2026-03-01 08:00:02.000000',0,NULL,'{"InstanceNumber": 2}');
INSERT INTO "instances" VALUES('1.2.3','1.2.3.3','1.2.840.10008.5.1.4.1.1.2','1.2','1.2.840.10008.1.2.1','instances/1.2.3/3.dcm',1000,'d3','a2','2026-03-01 08:00:06.000000',0,NULL,'{"InstanceNumber": 3}');
INSERT INTO "instances" VALUES('1.2.4','1.2.4.1','1.2.840.10008.5.1.4.1.1.2','1.2','1.2.840.10008.1.2.1','instances/1.2.4/1.dcm',1000,'d1','a3','2026-03-01 08:00:21.000000',0,NULL,'{"InstanceNumber": 1}');
INSERT INTO "instances" VALUES('1.2.4','1.2.4.2','1.2.840.10008.5.1.4.1.1.2','1.2','1.2.840.10008.1.2.1','instances/1.2.4/2.dcm',1000,'d2','a3','2026-03-01 08:00:22.000000',0,NULL,'{"InstanceNumber": 2}');
CREATE TABLE job_inputs (
	job_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	role VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_job_inputs PRIMARY KEY (job_id, position), 
	CONSTRAINT fk_job_inputs_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "job_inputs" VALUES('j1',0,'image','1.2.3');
CREATE TABLE jobs (
	id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	route VARCHAR(255) NOT NULL, 
	pipeline VARCHAR(255) NOT NULL, 
	destinations JSON NOT NULL, 
	explanation JSON NOT NULL, 
	missing TEXT, 
	state VARCHAR(16) NOT NULL, 
	priority INTEGER NOT NULL, 
	shadow BOOLEAN NOT NULL, 
	doubtful BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	attempt INTEGER NOT NULL, 
	not_before DATETIME NOT NULL, 
	worker VARCHAR(255), 
	progress FLOAT NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	reason TEXT, 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('j1','1.2','1.2.3',1,'chest','lung','["pacs"]','{"route": "chest"}',NULL,'done',0,0,0,'2026-03-01 08:00:10.000000',1,'2026-03-01 08:00:10.000000',NULL,1.0,'2026-03-01 08:00:11.000000','2026-03-01 08:00:12.000000',NULL);
CREATE TABLE journals (
	name VARCHAR(255) NOT NULL, 
	"offset" BIGINT NOT NULL, 
	CONSTRAINT pk_journals PRIMARY KEY (name)
);
INSERT INTO "journals" VALUES('20260301T075900000000-7.000001.jsonl',4711);
CREATE TABLE performed_steps (
	mpps_instance_uid VARCHAR(64) NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	at DATETIME NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	series JSON NOT NULL, 
	CONSTRAINT pk_performed_steps PRIMARY KEY (mpps_instance_uid)
);
INSERT INTO "performed_steps" VALUES('1.8.1','CT1','2026-03-01 08:00:23.000000','COMPLETED','{"1.2.4": ["1.2.4.1", "1.2.4.2"]}');
INSERT INTO "performed_steps" VALUES('1.8.2','CT1','2026-03-01 08:00:24.000000','IN PROGRESS','{}');
CREATE TABLE refusals (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	called_ae_title VARCHAR(16) NOT NULL, 
	address VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	hint TEXT NOT NULL, 
	path TEXT NOT NULL, 
	CONSTRAINT pk_refusals PRIMARY KEY (id)
);
INSERT INTO "refusals" VALUES(1,'2026-03-01 08:00:08.000000','STRANGER','DICOMNODE','10.0.0.9','unknown sender','peers: {STRANGER: {}}','');
CREATE TABLE results (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	path TEXT NOT NULL, 
	description TEXT NOT NULL, 
	CONSTRAINT pk_results PRIMARY KEY (sop_instance_uid), 
	CONSTRAINT fk_results_job_id FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "results" VALUES('2.25.1','j1','1.2.840.10008.5.1.4.1.1.66.4','2.25.9','seg','results/j1/seg.dcm','Lungs');
CREATE TABLE series (
	series_instance_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	revision INTEGER NOT NULL, 
	own BOOLEAN NOT NULL, 
	modality VARCHAR(16) NOT NULL, 
	header JSON NOT NULL, 
	header_number INTEGER NOT NULL, 
	first_image_at DATETIME NOT NULL, 
	last_image_at DATETIME NOT NULL, 
	look_again_at DATETIME, 
	verdict JSON, 
	doubtful BOOLEAN NOT NULL, 
	completed_at DATETIME, 
	explanations JSON, 
	CONSTRAINT pk_series PRIMARY KEY (series_instance_uid)
);
INSERT INTO "series" VALUES('1.2.3','1.2','complete',1,0,'CT','{"Modality": "CT", "PatientID": "P1"}',1,'2026-03-01 08:00:01.000000','2026-03-01 08:00:06.000000',NULL,'{"complete": true, "evidence": "geometry", "reason": "released, and whole", "doubtful": false, "look_again_at": null}',0,'2026-03-01 08:00:10.000000','[]');
INSERT INTO "series" VALUES('1.2.4','1.2','arriving',1,0,'CT','{"Modality": "CT", "PatientID": "P1"}',1,'2026-03-01 08:00:21.000000','2026-03-01 08:00:22.000000',NULL,'null',0,NULL,'null');
CREATE TABLE source_counts (
	id INTEGER NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	peer VARCHAR(255) NOT NULL, 
	at DATETIME NOT NULL, 
	instances INTEGER NOT NULL, 
	CONSTRAINT pk_source_counts PRIMARY KEY (id)
);
INSERT INTO "source_counts" VALUES(1,'1.2.3','PACS','2026-03-01 08:00:09.000000',3);
CREATE TABLE study_waits (
	study_instance_uid VARCHAR(64) NOT NULL, 
	route VARCHAR(255) NOT NULL, 
	look_again_at DATETIME NOT NULL, 
	CONSTRAINT pk_study_waits PRIMARY KEY (study_instance_uid, route)
);
INSERT INTO "study_waits" VALUES('1.2','pair','2026-03-01 08:30:00.000000');
CREATE INDEX ix_associations_outcome ON associations (outcome);
CREATE INDEX ix_associations_sender ON associations (calling_ae_title, started_at);
CREATE INDEX ix_changes_at ON changes (at);
CREATE INDEX ix_changes_entity_key ON changes (entity, "key");
CREATE INDEX ix_instances_association_id ON instances (association_id);
CREATE INDEX ix_instances_sop_instance_uid ON instances (sop_instance_uid);
CREATE INDEX ix_jobs_claim ON jobs (state, not_before, priority, created_at);
CREATE INDEX ix_jobs_created_at ON jobs (created_at);
CREATE INDEX ix_jobs_series_instance_uid ON jobs (series_instance_uid);
CREATE INDEX ix_refusals_at ON refusals (at);
CREATE INDEX ix_series_last_image_at ON series (last_image_at);
CREATE INDEX ix_series_state_look ON series (state, look_again_at);
CREATE INDEX ix_series_study_instance_uid ON series (study_instance_uid);
CREATE INDEX ix_source_counts_series_instance_uid ON source_counts (series_instance_uid);
CREATE INDEX ix_study_waits_look_again_at ON study_waits (look_again_at);
CREATE INDEX ix_job_inputs_series_instance_uid ON job_inputs (series_instance_uid);
CREATE INDEX ix_results_job_id ON results (job_id);
CREATE INDEX ix_results_series_instance_uid ON results (series_instance_uid);
CREATE INDEX ix_deliveries_due ON deliveries (state, destination, not_before);
CREATE INDEX ix_deliveries_sop_instance_uid ON deliveries (sop_instance_uid);
COMMIT;
