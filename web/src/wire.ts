// Generated from events/ by `npm run wire`: change the models there, not this file.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * AgentChange
         * @description Fields left out stay as they are.
         */
        AgentChange: {
            /**
             * Endpoints
             * @default null
             */
            endpoints: string[] | null;
            /**
             * Tags
             * @default null
             */
            tags: {
                [key: string]: string;
            } | null;
        };
        /**
         * AgentLocation
         * @description A path on one agent, inside one of its roots.
         */
        AgentLocation: {
            /** Agent Id */
            agent_id: string;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            kind: "agent";
            /** Path */
            path: string;
        };
        /**
         * AgentStatus
         * @enum {string}
         */
        AgentStatus: "online" | "late" | "offline";
        /** AgentsView */
        AgentsView: {
            /** Agents */
            agents: components["schemas"]["AgentView"][];
            /**
             * Next
             * @default null
             */
            next: string | null;
        };
        /** AgentView */
        AgentView: {
            /** Agent Id */
            agent_id: string;
            capabilities: components["schemas"]["Capabilities"];
            /** Connected At */
            connected_at: string | null;
            /** Endpoints */
            endpoints: string[];
            /** Hostname */
            hostname: string;
            /** Ip Address */
            ip_address: string | null;
            /** Last Heartbeat */
            last_heartbeat: string | null;
            /**
             * Load
             * @default null
             */
            load: number | null;
            /** Registered At */
            registered_at: string;
            /** Roots */
            roots: components["schemas"]["RootState"][];
            /** Running */
            running: number;
            status: components["schemas"]["AgentStatus"];
            /** Tags */
            tags: {
                [key: string]: string;
            };
            /** Version */
            version: string;
        };
        /** BrowseRequest */
        BrowseRequest: {
            /**
             * After
             * @default null
             */
            after: string | null;
            /**
             * Limit
             * @default 200
             */
            limit: number;
            /** Path */
            path: string;
        };
        /**
         * Capabilities
         * @description What this agent can do; a newer agent may name more.
         */
        Capabilities: {
            /**
             * Movers
             * @default [
             *       "lane",
             *       "rclone",
             *       "local"
             *     ]
             */
            movers: string[];
            /**
             * Rclone
             * @default null
             */
            rclone: string | null;
        };
        /**
         * CredentialsRequest
         * @description An agent asks for S3 credentials for a hop it is carrying out.
         */
        CredentialsRequest: {
            /** Hop Id */
            hop_id: string;
        };
        /**
         * CredentialsView
         * @description As wide as the hop and no wider; ask again before `expires_at`.
         */
        CredentialsView: {
            /** Access Key Id */
            access_key_id: string;
            /** Endpoint */
            endpoint: string | null;
            /** Expires At */
            expires_at: string;
            /** Region */
            region: string;
            /** Secret Access Key */
            secret_access_key: string;
            /** Session Token */
            session_token: string;
        };
        /**
         * DistributedRequest
         * @description From one agent to one other.
         */
        DistributedRequest: {
            destination: string | {
                /** Agent Id */
                agent_id: string;
                /**
                 * Kind
                 * @default agent
                 * @constant
                 */
                kind: "agent";
                /** Path */
                path: string;
            };
            /**
             * @default {
             *       "bandwidth_limit": null,
             *       "if_offline": "queue",
             *       "overwrite": "always",
             *       "streams": null,
             *       "symlinks": "keep",
             *       "verify": "transfer"
             *     }
             */
            options: components["schemas"]["Options"];
            source: string | {
                /** Agent Id */
                agent_id: string;
                /**
                 * Kind
                 * @default agent
                 * @constant
                 */
                kind: "agent";
                /** Path */
                path: string;
            };
        };
        /**
         * EnrollmentRequest
         * @description Ask for a one-time token that lets one host join under this name.
         */
        EnrollmentRequest: {
            /** Agent Id */
            agent_id: string;
            /**
             * Expires In
             * @description seconds
             * @default 3600
             */
            expires_in: number;
            /**
             * Tags
             * @default {}
             */
            tags: {
                [key: string]: string;
            };
        };
        /** EnrollmentView */
        EnrollmentView: {
            /** Agent Id */
            agent_id: string;
            /** Command */
            command: string;
            /** Expires At */
            expires_at: string;
            /** Token */
            token: string;
        };
        /**
         * Entry
         * @description One name in a directory.
         */
        Entry: {
            /**
             * Modified
             * @default null
             */
            modified: string | null;
            /** Name */
            name: string;
            /**
             * Size
             * @default null
             */
            size: number | null;
            /**
             * Type
             * @enum {string}
             */
            type: "file" | "directory" | "symlink" | "other";
        };
        /** Health */
        Health: {
            sign_in: components["schemas"]["SignIn"];
            /** Stage */
            stage: string;
            /** Status */
            status: string;
            /** Version */
            version: string;
            /** Wire */
            wire: number;
        };
        /**
         * HopState
         * @enum {string}
         */
        HopState: "waiting" | "queued" | "offered" | "running" | "paused" | "verifying" | "succeeded" | "failed" | "cancelled";
        /** HopView */
        HopView: {
            /** After */
            after: string | null;
            /** Agents */
            agents: string[];
            /** Attempt */
            attempt: number;
            /** Destination */
            destination: components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"];
            /**
             * Digest
             * @default null
             */
            digest: string | null;
            /**
             * Ended At
             * @default null
             */
            ended_at: string | null;
            /**
             * Failures
             * @default []
             */
            failures: components["schemas"]["Problem"][];
            /**
             * Failures Total
             * @default 0
             */
            failures_total: number;
            /** Hop Id */
            hop_id: string;
            /** @default null */
            problem: components["schemas"]["Problem"] | null;
            progress: components["schemas"]["Progress"];
            /**
             * Retry At
             * @default null
             */
            retry_at: string | null;
            /** Route */
            route: string;
            /** Source */
            source: components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"];
            /**
             * Started At
             * @default null
             */
            started_at: string | null;
            state: components["schemas"]["HopState"];
            /**
             * Via
             * @default null
             */
            via: string | null;
        };
        /** ListingView */
        ListingView: {
            /** Agent Id */
            agent_id: string;
            /** Entries */
            entries: components["schemas"]["Entry"][];
            /** Next */
            next: string | null;
            /** Path */
            path: string;
        };
        /**
         * Live
         * @description What the live topic carries: may be lost, is never stored.
         */
        Live: {
            /** At */
            at: string;
            /** Attempt */
            attempt: number;
            /** Hop Id */
            hop_id: string;
            progress: components["schemas"]["Progress"];
            /** Transfer Id */
            transfer_id: string;
        };
        /**
         * LiveView
         * @description Where to listen for live progress: an MQTT 5 WebSocket address that allows only `topics`.
         */
        LiveView: {
            /** Client Id */
            client_id: string;
            /** Expires At */
            expires_at: string;
            /** Topics */
            topics: string[];
            /** Url */
            url: string;
        };
        /**
         * Moment
         * @description One line of a transfer's timeline.
         */
        Moment: {
            /** At */
            at: string;
            /** By */
            by: string;
            /**
             * Hop Id
             * @default null
             */
            hop_id: string | null;
            /** @default null */
            problem: components["schemas"]["Problem"] | null;
            /** @default null */
            state: components["schemas"]["HopState"] | null;
            /** What */
            what: string;
        };
        /**
         * ObjectTrigger
         * @description Objects that arrive in this bucket under this prefix.
         */
        ObjectTrigger: {
            /** Bucket */
            bucket: string;
            /**
             * Prefix
             * @default
             */
            prefix: string;
            /**
             * Suffix
             * @default
             */
            suffix: string;
        };
        /**
         * Options
         * @description Every field has a default that loses nothing.
         */
        Options: {
            /**
             * Bandwidth Limit
             * @default null
             */
            bandwidth_limit: number | null;
            /**
             * If Offline
             * @default queue
             * @enum {string}
             */
            if_offline: "queue" | "refuse";
            /**
             * Overwrite
             * @default always
             * @enum {string}
             */
            overwrite: "always" | "newer" | "never" | "fail";
            /**
             * Streams
             * @default null
             */
            streams: number | null;
            /**
             * Symlinks
             * @default keep
             * @enum {string}
             */
            symlinks: "keep" | "skip" | "follow";
            /**
             * Verify
             * @default transfer
             * @enum {string}
             */
            verify: "transfer" | "reread";
        };
        /**
         * Problem
         * @description What went wrong, where, and what to do about it; the same words from the agent to the screen.
         */
        Problem: {
            /**
             * Advice
             * @default
             */
            advice: string;
            /** Code */
            code: string;
            /** Message */
            message: string;
            /**
             * Path
             * @default null
             */
            path: string | null;
            /**
             * Retryable
             * @default false
             */
            retryable: boolean;
        };
        /**
         * ProblemDetails
         * @description An error, as RFC 9457 has it (application/problem+json); `advice` and `errors` are ours.
         */
        ProblemDetails: {
            /**
             * Advice
             * @default
             */
            advice: string;
            /** Detail */
            detail: string;
            /**
             * Errors
             * @default []
             */
            errors: {
                [key: string]: unknown;
            }[];
            /**
             * Instance
             * @default null
             */
            instance: string | null;
            /** Status */
            status: number;
            /** Title */
            title: string;
            /** Type */
            type: string;
        };
        /**
         * Progress
         * @description Totals are None while the source is still being listed, and are never guessed.
         */
        Progress: {
            /**
             * Bytes Done
             * @description bytes
             * @default 0
             */
            bytes_done: number;
            /**
             * Bytes Per Second
             * @description bytes
             * @default 0
             */
            bytes_per_second: number;
            /**
             * Bytes Total
             * @default null
             */
            bytes_total: number | null;
            /**
             * Bytes Unchanged
             * @description bytes
             * @default 0
             */
            bytes_unchanged: number;
            /**
             * Current
             * @default null
             */
            current: string | null;
            /**
             * Files Done
             * @default 0
             */
            files_done: number;
            /**
             * Files Total
             * @default null
             */
            files_total: number | null;
            /**
             * Files Unchanged
             * @default 0
             */
            files_unchanged: number;
        };
        /**
         * RegisteredView
         * @description Everything a new agent needs; `api_key` and `certificate` are given this once.
         */
        RegisteredView: {
            /** Agent Id */
            agent_id: string;
            /** Api Key */
            api_key: string;
            /** Certificate */
            certificate: string;
            /** Mqtt Ca */
            mqtt_ca: string | null;
            /** Mqtt Host */
            mqtt_host: string;
            /** Mqtt Port */
            mqtt_port: number;
            /** Stage */
            stage: string;
            /** Verification Keys */
            verification_keys: {
                [key: string]: unknown;
            }[];
        };
        /**
         * RegisterRequest
         * @description What the host sends, once: the token it was given and the CSR of a key that never leaves it.
         */
        RegisterRequest: {
            capabilities: components["schemas"]["Capabilities"];
            /** Csr */
            csr: string;
            /** Endpoints */
            endpoints: string[];
            /** Hostname */
            hostname: string;
            /** Lane Certificate */
            lane_certificate: string;
            /** Roots */
            roots: components["schemas"]["RootState"][];
            /** Token */
            token: string;
            /** Version */
            version: string;
        };
        /**
         * RootState
         * @description A root as the host has it: `path` is the name that locations use.
         */
        RootState: {
            /**
             * Access
             * @enum {string}
             */
            access: "ro" | "rw";
            /**
             * Free
             * @default null
             */
            free: number | null;
            /** Path */
            path: string;
            /**
             * Size
             * @default null
             */
            size: number | null;
        };
        /**
         * S3Location
         * @description The objects under a prefix (or one object) of a bucket.
         */
        S3Location: {
            /** Bucket */
            bucket: string;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            kind: "s3";
            /**
             * Prefix
             * @default
             */
            prefix: string;
        };
        /**
         * SignIn
         * @description Where people sign in: a Cognito user pool's public client.
         */
        SignIn: {
            /** Client Id */
            client_id: string;
            /**
             * Endpoint
             * @default null
             */
            endpoint: string | null;
            /** Region */
            region: string;
        };
        /**
         * TemplateRequest
         * @description A standing order. What lies under the trigger's prefix arrives under each destination.
         */
        TemplateRequest: {
            /**
             * Description
             * @default
             */
            description: string;
            /** Destinations */
            destinations: (string | {
                /** Agent Id */
                agent_id: string;
                /**
                 * Kind
                 * @default agent
                 * @constant
                 */
                kind: "agent";
                /** Path */
                path: string;
            } | {
                /** Bucket */
                bucket: string;
                /**
                 * Kind
                 * @default s3
                 * @constant
                 */
                kind: "s3";
                /**
                 * Prefix
                 * @default
                 */
                prefix: string;
            })[];
            /**
             * Enabled
             * @default true
             */
            enabled: boolean;
            /** Name */
            name: string;
            /**
             * @default {
             *       "bandwidth_limit": null,
             *       "if_offline": "queue",
             *       "overwrite": "always",
             *       "streams": null,
             *       "symlinks": "keep",
             *       "verify": "transfer"
             *     }
             */
            options: components["schemas"]["Options"];
            /**
             * Shape
             * @default fan_out
             * @enum {string}
             */
            shape: "fan_out" | "chain";
            trigger: components["schemas"]["ObjectTrigger"];
        };
        /** TemplatesView */
        TemplatesView: {
            /**
             * Next
             * @default null
             */
            next: string | null;
            /** Templates */
            templates: components["schemas"]["TemplateView"][];
        };
        /** TemplateView */
        TemplateView: {
            /** Created At */
            created_at: string;
            /** Description */
            description: string;
            /** Destinations */
            destinations: (components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"])[];
            /** Enabled */
            enabled: boolean;
            options: components["schemas"]["Options"];
            /** Owner */
            owner: string;
            /**
             * Shape
             * @enum {string}
             */
            shape: "fan_out" | "chain";
            /** Template Id */
            template_id: string;
            trigger: components["schemas"]["ObjectTrigger"];
            /** Updated At */
            updated_at: string;
            /** Version */
            version: number;
            /**
             * Warnings
             * @default []
             */
            warnings: string[];
        };
        /** TransferRequest */
        TransferRequest: {
            /** Destinations */
            destinations: (string | {
                /** Agent Id */
                agent_id: string;
                /**
                 * Kind
                 * @default agent
                 * @constant
                 */
                kind: "agent";
                /** Path */
                path: string;
            } | {
                /** Bucket */
                bucket: string;
                /**
                 * Kind
                 * @default s3
                 * @constant
                 */
                kind: "s3";
                /**
                 * Prefix
                 * @default
                 */
                prefix: string;
            })[];
            /**
             * @default {
             *       "bandwidth_limit": null,
             *       "if_offline": "queue",
             *       "overwrite": "always",
             *       "streams": null,
             *       "symlinks": "keep",
             *       "verify": "transfer"
             *     }
             */
            options: components["schemas"]["Options"];
            /**
             * Shape
             * @default fan_out
             * @enum {string}
             */
            shape: "fan_out" | "chain";
            /** Source */
            source: string | {
                /** Agent Id */
                agent_id: string;
                /**
                 * Kind
                 * @default agent
                 * @constant
                 */
                kind: "agent";
                /** Path */
                path: string;
            } | {
                /** Bucket */
                bucket: string;
                /**
                 * Kind
                 * @default s3
                 * @constant
                 */
                kind: "s3";
                /**
                 * Prefix
                 * @default
                 */
                prefix: string;
            };
        };
        /**
         * TransferState
         * @enum {string}
         */
        TransferState: "queued" | "running" | "paused" | "succeeded" | "partially_failed" | "failed" | "cancelled";
        /**
         * TransferSummary
         * @description A transfer in a list.
         */
        TransferSummary: {
            /** Created At */
            created_at: string;
            /** Created By */
            created_by: string;
            /** Destinations */
            destinations: (components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"])[];
            /**
             * Ended At
             * @default null
             */
            ended_at: string | null;
            /** @default null */
            problem: components["schemas"]["Problem"] | null;
            progress: components["schemas"]["Progress"];
            /**
             * Selection Count
             * @default null
             */
            selection_count: number | null;
            /**
             * Shape
             * @enum {string}
             */
            shape: "fan_out" | "chain";
            /** Source */
            source: components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"];
            state: components["schemas"]["TransferState"];
            /**
             * Template Id
             * @default null
             */
            template_id: string | null;
            /** Transfer Id */
            transfer_id: string;
        };
        /** TransfersView */
        TransfersView: {
            /**
             * Next
             * @default null
             */
            next: string | null;
            /** Transfers */
            transfers: components["schemas"]["TransferSummary"][];
        };
        /** TransferView */
        TransferView: {
            /** Created At */
            created_at: string;
            /** Created By */
            created_by: string;
            /** Destinations */
            destinations: (components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"])[];
            /**
             * Ended At
             * @default null
             */
            ended_at: string | null;
            /** Hops */
            hops: components["schemas"]["HopView"][];
            options: components["schemas"]["Options"];
            /** @default null */
            problem: components["schemas"]["Problem"] | null;
            progress: components["schemas"]["Progress"];
            /**
             * Selection Count
             * @default null
             */
            selection_count: number | null;
            /**
             * Shape
             * @enum {string}
             */
            shape: "fan_out" | "chain";
            /** Source */
            source: components["schemas"]["AgentLocation"] | components["schemas"]["S3Location"];
            state: components["schemas"]["TransferState"];
            /**
             * Template Id
             * @default null
             */
            template_id: string | null;
            /** Timeline */
            timeline: components["schemas"]["Moment"][];
            /** Transfer Id */
            transfer_id: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
