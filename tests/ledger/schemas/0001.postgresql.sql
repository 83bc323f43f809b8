CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.associations (
    id character varying(64) NOT NULL,
    journal character varying(255) NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    called_ae_title character varying(16) NOT NULL,
    address character varying(64) NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome character varying(16) NOT NULL
);
CREATE TABLE public.changes (
    id integer NOT NULL,
    at timestamp with time zone NOT NULL,
    entity character varying(16) NOT NULL,
    key character varying(64) NOT NULL,
    before character varying(16),
    after character varying(16) NOT NULL,
    cause text NOT NULL
);
CREATE SEQUENCE public.changes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.changes_id_seq OWNED BY public.changes.id;
CREATE TABLE public.commitments (
    transaction_uid character varying(64) NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    at timestamp with time zone NOT NULL,
    sop_instance_uids json NOT NULL
);
CREATE TABLE public.conflicts (
    id integer NOT NULL,
    sop_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    path text NOT NULL,
    digest character varying(128) NOT NULL,
    association_id character varying(64) NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.conflicts_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.conflicts_id_seq OWNED BY public.conflicts.id;
CREATE TABLE public.deliveries (
    id integer NOT NULL,
    sop_instance_uid character varying(64) NOT NULL,
    destination character varying(255) NOT NULL,
    state character varying(16) NOT NULL,
    attempt integer NOT NULL,
    not_before timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    error text
);
CREATE SEQUENCE public.deliveries_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.deliveries_id_seq OWNED BY public.deliveries.id;
CREATE TABLE public.instances (
    series_instance_uid character varying(64) NOT NULL,
    sop_instance_uid character varying(64) NOT NULL,
    sop_class_uid character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    transfer_syntax_uid character varying(64) NOT NULL,
    path text NOT NULL,
    size bigint NOT NULL,
    digest character varying(128) NOT NULL,
    association_id character varying(64) NOT NULL,
    received_at timestamp with time zone NOT NULL,
    duplicates integer NOT NULL,
    fault text,
    fields json NOT NULL
);
CREATE TABLE public.job_inputs (
    job_id character varying(64) NOT NULL,
    "position" integer NOT NULL,
    role character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL
);
CREATE TABLE public.jobs (
    id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    revision integer NOT NULL,
    route character varying(255) NOT NULL,
    pipeline character varying(255) NOT NULL,
    destinations json NOT NULL,
    explanation json NOT NULL,
    missing text,
    state character varying(16) NOT NULL,
    priority integer NOT NULL,
    shadow boolean NOT NULL,
    doubtful boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    attempt integer NOT NULL,
    not_before timestamp with time zone NOT NULL,
    worker character varying(255),
    progress double precision NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    reason text
);
CREATE TABLE public.journals (
    name character varying(255) NOT NULL,
    "offset" bigint NOT NULL
);
CREATE TABLE public.performed_steps (
    mpps_instance_uid character varying(64) NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    at timestamp with time zone NOT NULL,
    status character varying(16) NOT NULL,
    series json NOT NULL
);
CREATE TABLE public.refusals (
    id integer NOT NULL,
    at timestamp with time zone NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    called_ae_title character varying(16) NOT NULL,
    address character varying(64) NOT NULL,
    reason text NOT NULL,
    hint text NOT NULL,
    path text NOT NULL
);
CREATE SEQUENCE public.refusals_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.refusals_id_seq OWNED BY public.refusals.id;
CREATE TABLE public.results (
    sop_instance_uid character varying(64) NOT NULL,
    job_id character varying(64) NOT NULL,
    sop_class_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    kind character varying(16) NOT NULL,
    path text NOT NULL,
    description text NOT NULL
);
CREATE TABLE public.series (
    series_instance_uid character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    state character varying(16) NOT NULL,
    revision integer NOT NULL,
    own boolean NOT NULL,
    modality character varying(16) NOT NULL,
    header json NOT NULL,
    header_number integer NOT NULL,
    first_image_at timestamp with time zone NOT NULL,
    last_image_at timestamp with time zone NOT NULL,
    look_again_at timestamp with time zone,
    verdict json,
    doubtful boolean NOT NULL,
    completed_at timestamp with time zone,
    explanations json
);
CREATE TABLE public.source_counts (
    id integer NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    peer character varying(255) NOT NULL,
    at timestamp with time zone NOT NULL,
    instances integer NOT NULL
);
CREATE SEQUENCE public.source_counts_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.source_counts_id_seq OWNED BY public.source_counts.id;
CREATE TABLE public.study_waits (
    study_instance_uid character varying(64) NOT NULL,
    route character varying(255) NOT NULL,
    look_again_at timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.changes ALTER COLUMN id SET DEFAULT nextval('public.changes_id_seq'::regclass);
ALTER TABLE ONLY public.conflicts ALTER COLUMN id SET DEFAULT nextval('public.conflicts_id_seq'::regclass);
ALTER TABLE ONLY public.deliveries ALTER COLUMN id SET DEFAULT nextval('public.deliveries_id_seq'::regclass);
ALTER TABLE ONLY public.refusals ALTER COLUMN id SET DEFAULT nextval('public.refusals_id_seq'::regclass);
ALTER TABLE ONLY public.source_counts ALTER COLUMN id SET DEFAULT nextval('public.source_counts_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.associations VALUES ('a1', '20260301T075900000000-7.000001.jsonl', 'CT1', 'DICOMNODE', '10.0.0.1', '2026-03-01 08:00:00+00', '2026-03-01 08:00:03+00', 'released');
INSERT INTO public.associations VALUES ('a2', '20260301T075900000000-7.000001.jsonl', 'CT1', 'DICOMNODE', '10.0.0.1', '2026-03-01 08:00:05+00', '2026-03-01 08:00:09+00', 'released');
INSERT INTO public.associations VALUES ('a3', '20260301T075900000000-7.000001.jsonl', 'CT1', 'DICOMNODE', '10.0.0.1', '2026-03-01 08:00:20+00', NULL, 'open');
INSERT INTO public.changes VALUES (1, '2026-03-01 08:00:01+00', 'series', '1.2.3', NULL, 'arriving', 'as it came');
INSERT INTO public.changes VALUES (2, '2026-03-01 08:00:10+00', 'series', '1.2.3', 'arriving', 'complete', 'as it came');
INSERT INTO public.changes VALUES (3, '2026-03-01 08:00:10+00', 'job', 'j1', NULL, 'queued', 'as it came');
INSERT INTO public.changes VALUES (4, '2026-03-01 08:00:11+00', 'job', 'j1', 'queued', 'running', 'as it came');
INSERT INTO public.changes VALUES (5, '2026-03-01 08:00:12+00', 'job', 'j1', 'running', 'done', 'as it came');
INSERT INTO public.changes VALUES (6, '2026-03-01 08:00:12+00', 'delivery', '1', NULL, 'owed', 'as it came');
INSERT INTO public.commitments VALUES ('1.9.1', 'CT1', '2026-03-01 08:00:11+00', '["1.2.3.1", "1.2.3.2", "1.2.3.3"]');
INSERT INTO public.conflicts VALUES (1, '1.2.3.1', '1.2.3', 'conflicts/1.dcm', 'other', 'a2', '2026-03-01 08:00:07+00');
INSERT INTO public.deliveries VALUES (1, '2.25.1', 'pacs', 'owed', 1, '2026-03-01 08:00:13+00', NULL, 'the peer does not answer');
INSERT INTO public.instances VALUES ('1.2.3', '1.2.3.1', '1.2.840.10008.5.1.4.1.1.2', '1.2', '1.2.840.10008.1.2.1', 'instances/1.2.3/1.dcm', 1000, 'd1', 'a1', '2026-03-01 08:00:01+00', 0, NULL, '{"InstanceNumber": 1}');
INSERT INTO public.instances VALUES ('1.2.3', '1.2.3.2', '1.2.840.10008.5.1.4.1.1.2', '1.2', '1.2.840.10008.1.2.1', 'instances/1.2.3/2.dcm', 1000, 'd2', 'a1', '2026-03-01 08:00:02+00', 0, NULL, '{"InstanceNumber": 2}');
INSERT INTO public.instances VALUES ('1.2.3', '1.2.3.3', '1.2.840.10008.5.1.4.1.1.2', '1.2', '1.2.840.10008.1.2.1', 'instances/1.2.3/3.dcm', 1000, 'd3', 'a2', '2026-03-01 08:00:06+00', 0, NULL, '{"InstanceNumber": 3}');
INSERT INTO public.instances VALUES ('1.2.4', '1.2.4.1', '1.2.840.10008.5.1.4.1.1.2', '1.2', '1.2.840.10008.1.2.1', 'instances/1.2.4/1.dcm', 1000, 'd1', 'a3', '2026-03-01 08:00:21+00', 0, NULL, '{"InstanceNumber": 1}');
INSERT INTO public.instances VALUES ('1.2.4', '1.2.4.2', '1.2.840.10008.5.1.4.1.1.2', '1.2', '1.2.840.10008.1.2.1', 'instances/1.2.4/2.dcm', 1000, 'd2', 'a3', '2026-03-01 08:00:22+00', 0, NULL, '{"InstanceNumber": 2}');
INSERT INTO public.job_inputs VALUES ('j1', 0, 'image', '1.2.3');
INSERT INTO public.jobs VALUES ('j1', '1.2', '1.2.3', 1, 'chest', 'lung', '["pacs"]', '{"route": "chest"}', NULL, 'done', 0, false, false, '2026-03-01 08:00:10+00', 1, '2026-03-01 08:00:10+00', NULL, 1, '2026-03-01 08:00:11+00', '2026-03-01 08:00:12+00', NULL);
INSERT INTO public.journals VALUES ('20260301T075900000000-7.000001.jsonl', 4711);
INSERT INTO public.performed_steps VALUES ('1.8.1', 'CT1', '2026-03-01 08:00:23+00', 'COMPLETED', '{"1.2.4": ["1.2.4.1", "1.2.4.2"]}');
INSERT INTO public.performed_steps VALUES ('1.8.2', 'CT1', '2026-03-01 08:00:24+00', 'IN PROGRESS', '{}');
INSERT INTO public.refusals VALUES (1, '2026-03-01 08:00:08+00', 'STRANGER', 'DICOMNODE', '10.0.0.9', 'unknown sender', 'peers: {STRANGER: {}}', '');
INSERT INTO public.results VALUES ('2.25.1', 'j1', '1.2.840.10008.5.1.4.1.1.66.4', '2.25.9', 'seg', 'results/j1/seg.dcm', 'Lungs');
INSERT INTO public.series VALUES ('1.2.3', '1.2', 'complete', 1, false, 'CT', '{"Modality": "CT", "PatientID": "P1"}', 1, '2026-03-01 08:00:01+00', '2026-03-01 08:00:06+00', NULL, '{"complete": true, "evidence": "geometry", "reason": "released, and whole", "doubtful": false, "look_again_at": null}', false, '2026-03-01 08:00:10+00', '[]');
INSERT INTO public.series VALUES ('1.2.4', '1.2', 'arriving', 1, false, 'CT', '{"Modality": "CT", "PatientID": "P1"}', 1, '2026-03-01 08:00:21+00', '2026-03-01 08:00:22+00', NULL, 'null', false, NULL, 'null');
INSERT INTO public.source_counts VALUES (1, '1.2.3', 'PACS', '2026-03-01 08:00:09+00', 3);
INSERT INTO public.study_waits VALUES ('1.2', 'pair', '2026-03-01 08:30:00+00');
SELECT pg_catalog.setval('public.changes_id_seq', 6, true);
SELECT pg_catalog.setval('public.conflicts_id_seq', 1, true);
SELECT pg_catalog.setval('public.deliveries_id_seq', 1, true);
SELECT pg_catalog.setval('public.refusals_id_seq', 1, true);
SELECT pg_catalog.setval('public.source_counts_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.associations
    ADD CONSTRAINT pk_associations PRIMARY KEY (id);
ALTER TABLE ONLY public.changes
    ADD CONSTRAINT pk_changes PRIMARY KEY (id);
ALTER TABLE ONLY public.commitments
    ADD CONSTRAINT pk_commitments PRIMARY KEY (transaction_uid);
ALTER TABLE ONLY public.conflicts
    ADD CONSTRAINT pk_conflicts PRIMARY KEY (id);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT pk_deliveries PRIMARY KEY (id);
ALTER TABLE ONLY public.instances
    ADD CONSTRAINT pk_instances PRIMARY KEY (series_instance_uid, sop_instance_uid);
ALTER TABLE ONLY public.job_inputs
    ADD CONSTRAINT pk_job_inputs PRIMARY KEY (job_id, "position");
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT pk_jobs PRIMARY KEY (id);
ALTER TABLE ONLY public.journals
    ADD CONSTRAINT pk_journals PRIMARY KEY (name);
ALTER TABLE ONLY public.performed_steps
    ADD CONSTRAINT pk_performed_steps PRIMARY KEY (mpps_instance_uid);
ALTER TABLE ONLY public.refusals
    ADD CONSTRAINT pk_refusals PRIMARY KEY (id);
ALTER TABLE ONLY public.results
    ADD CONSTRAINT pk_results PRIMARY KEY (sop_instance_uid);
ALTER TABLE ONLY public.series
    ADD CONSTRAINT pk_series PRIMARY KEY (series_instance_uid);
ALTER TABLE ONLY public.source_counts
    ADD CONSTRAINT pk_source_counts PRIMARY KEY (id);
ALTER TABLE ONLY public.study_waits
    ADD CONSTRAINT pk_study_waits PRIMARY KEY (study_instance_uid, route);
CREATE INDEX ix_associations_outcome ON public.associations USING btree (outcome);
CREATE INDEX ix_associations_sender ON public.associations USING btree (calling_ae_title, started_at);
CREATE INDEX ix_changes_at ON public.changes USING btree (at);
CREATE INDEX ix_changes_entity_key ON public.changes USING btree (entity, key);
CREATE INDEX ix_deliveries_due ON public.deliveries USING btree (state, destination, not_before);
CREATE INDEX ix_deliveries_sop_instance_uid ON public.deliveries USING btree (sop_instance_uid);
CREATE INDEX ix_instances_association_id ON public.instances USING btree (association_id);
CREATE INDEX ix_instances_sop_instance_uid ON public.instances USING btree (sop_instance_uid);
CREATE INDEX ix_job_inputs_series_instance_uid ON public.job_inputs USING btree (series_instance_uid);
CREATE INDEX ix_jobs_claim ON public.jobs USING btree (state, not_before, priority, created_at);
CREATE INDEX ix_jobs_created_at ON public.jobs USING btree (created_at);
CREATE INDEX ix_jobs_series_instance_uid ON public.jobs USING btree (series_instance_uid);
CREATE INDEX ix_refusals_at ON public.refusals USING btree (at);
CREATE INDEX ix_results_job_id ON public.results USING btree (job_id);
CREATE INDEX ix_results_series_instance_uid ON public.results USING btree (series_instance_uid);
CREATE INDEX ix_series_last_image_at ON public.series USING btree (last_image_at);
CREATE INDEX ix_series_state_look ON public.series USING btree (state, look_again_at);
CREATE INDEX ix_series_study_instance_uid ON public.series USING btree (study_instance_uid);
CREATE INDEX ix_source_counts_series_instance_uid ON public.source_counts USING btree (series_instance_uid);
CREATE INDEX ix_study_waits_look_again_at ON public.study_waits USING btree (look_again_at);
ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT fk_deliveries_sop_instance_uid FOREIGN KEY (sop_instance_uid) REFERENCES public.results(sop_instance_uid);
ALTER TABLE ONLY public.job_inputs
    ADD CONSTRAINT fk_job_inputs_job_id FOREIGN KEY (job_id) REFERENCES public.jobs(id);
ALTER TABLE ONLY public.results
    ADD CONSTRAINT fk_results_job_id FOREIGN KEY (job_id) REFERENCES public.jobs(id);
