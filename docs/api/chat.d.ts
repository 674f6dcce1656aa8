// The types of the chat's API, made by tests/js/types.js: REST calls, and events for socket.io-client, as in
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth: { token } });

export interface paths {
    "/api/chat/admin/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ends a user's tokens
         * @description Those issued until now are refused, and the user's sessions closed at once.
         */
        post: operations["revokeUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/admin/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is connected and what has happened */
        get: operations["getStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/admin/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The feed of the console of operators
         * @description The token of an admin comes with the header, or later in the event `connect`.
         */
        get: operations["openConsole"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/asyncapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The events of sockets
         * @description As AsyncAPI 3.0.
         */
        get: operations["getAsyncApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/conversations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The caller's conversations
         * @description The most recently changed first.
         */
        get: operations["listConversations"];
        put?: never;
        /**
         * The conversation with somebody
         * @description Theirs about the horse, if one is given; without: the one about no horse, else the most recently changed. It is made if there is none.
         */
        post: operations["openConversation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/conversations/{id}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A page of a conversation
         * @description Inside a page the oldest is first. What is out of range is corrected. Everything of the other participant becomes read, unless `mark_read=false` is there; the page shows the state before. With `after_seq` or `before_seq` there are `has_more` and `head_seq`, too.
         */
        get: operations["listMessages"];
        put?: never;
        /**
         * Sends a message
         * @description 201 means committed. Sockets hear of it as of a socket's. A repeat of its `client_msg_id`, or `Idempotency-Key`, is answered with the stored one and `duplicate: true`.
         */
        post: operations["sendMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/messages/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Deletes a message of the caller's
         * @description Once more is answered the same.
         */
        delete: operations["deleteMessage"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/unread-count": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How much is not read
         * @description Of all conversations.
         */
        get: operations["countUnread"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Stores a profile
         * @description Rooms show it from then on. Without a URL, one that was there is removed.
         */
        put: operations["putUser"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chat/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The chat over a plain WebSocket
         * @description Its events are in the AsyncAPI document. The token comes with the header, or later in the event `connect`.
         */
        get: operations["openWebSocket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether the process answers, and is not stopping
         * @description 503 from the beginning of a stop on.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        /** The same without a body */
        head: operations["headHealth"];
        patch?: never;
        trace?: never;
    };
    "/health/db": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether Postgres answers */
        get: operations["getDatabaseHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A WebSocket that echoes
         * @description To see whether proxies let upgrades through; frames of up to 4096 bytes.
         */
        get: operations["echoWebSocket"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same and more, for Prometheus */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description The sender's own id of the message: a repeat of it is stored once. 1 to 64 visible ASCII characters
         * @example 018f9a40-1b7c-7b1e-8f3e-0242ac120002
         */
        ClientMessageId: string;
        /** @description A conversation. */
        Conversation: {
            _id: components["schemas"]["ObjectId"];
            created_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description The newest message that it has had, shown or deleted; 0 before the first.
             */
            head_seq: number;
            horse_id: components["schemas"]["ObjectId"] | null;
            last_message: components["schemas"]["LastMessage"] | null;
            /** @description Who began it, then the other. */
            participants: components["schemas"]["ObjectId"][];
            /**
             * Format: int64
             * @description Undeleted messages by the other that the caller has not read.
             */
            unread_count: number;
            updated_at: components["schemas"]["Timestamp"];
        };
        /**
         * @description Why a call is refused, for programs
         * @enum {string}
         */
        ErrorCode: "UNAUTHENTICATED" | "FORBIDDEN" | "NOT_FOUND" | "INVALID_ARGUMENT" | "IDEMPOTENCY_CONFLICT" | "TOO_LARGE" | "RATE_LIMITED" | "OVERLOADED" | "INTERNAL";
        /** @description A call that is refused, and a failed acknowledgement. */
        Failure: {
            code: components["schemas"]["ErrorCode"];
            /** @description For people. */
            message: string;
            /**
             * Format: int64
             * @description When the same may succeed, where it may.
             */
            retry_after_ms?: number;
            /** @enum {boolean} */
            success: false;
        };
        /** @description A room that was joined; what is there but for `conversation_id` was asked for by `since_seq`. */
        Joined: {
            conversation_id: components["schemas"]["ObjectId"];
            /** @description Whether there are more than fit into the answer. */
            has_more?: boolean;
            /**
             * Format: int64
             * @description The newest message of the conversation; 0 if there is none.
             */
            head_seq?: number;
            /** @description Those after `since_seq`, the oldest first. */
            messages?: components["schemas"]["Message"][];
        };
        /** @description The newest message of a conversation. */
        LastMessage: {
            /** @description Whether the other has read it. */
            is_read: boolean;
            sender_id: components["schemas"]["ObjectId"];
            sent_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Its place in the conversation.
             */
            seq: number;
            text: components["schemas"]["Text"];
        };
        /** @description A conversation in the caller's list. */
        ListedConversation: {
            _id: components["schemas"]["ObjectId"];
            created_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description The newest message that it has had, shown or deleted; 0 before the first.
             */
            head_seq: number;
            horse_id: components["schemas"]["ObjectId"] | null;
            last_message: components["schemas"]["LastMessage"] | null;
            /** @description Who began it, then the other. */
            participants: components["schemas"]["Profile"][];
            /**
             * Format: int64
             * @description Undeleted messages by the other that the caller has not read.
             */
            unread_count: number;
            updated_at: components["schemas"]["Timestamp"];
        };
        /** @description How far the caller has read. */
        MarkRead: {
            conversation_id: components["schemas"]["ObjectId"];
            /**
             * Format: int64
             * @description Up to here, this one included.
             */
            up_to_seq: number;
        };
        /** @description A message. */
        Message: {
            _id: components["schemas"]["ObjectId"];
            conversation_id: components["schemas"]["ObjectId"];
            /** @description There, and true, where the message had been sent before. */
            duplicate?: boolean;
            /** @description Whether the other participant has read it. */
            is_read: boolean;
            read_at: components["schemas"]["Timestamp"] | null;
            sender_id: components["schemas"]["Profile"];
            sent_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Its place in the conversation: 1, 2, 3 … without gaps.
             */
            seq: number;
            text: components["schemas"]["Text"];
        };
        /** @description A message that is not there any more. */
        MessageDeleted: {
            _id: components["schemas"]["ObjectId"];
            conversation_id: components["schemas"]["ObjectId"];
            /**
             * Format: int64
             * @description Its place, which stays empty.
             */
            seq: number;
        };
        /** @description There is something new for the recipient. */
        MessageNotification: {
            conversation_id: components["schemas"]["ObjectId"];
            /** @description The first 60 code points of the text. */
            preview: string;
            sender: components["schemas"]["ObjectId"];
        };
        /** @description How far a participant has read. */
        MessageRead: {
            conversation_id: components["schemas"]["ObjectId"];
            read_at: components["schemas"]["Timestamp"];
            reader_id: components["schemas"]["ObjectId"];
            /**
             * Format: int64
             * @description Up to here, this one included.
             */
            up_to_seq: number;
        };
        /** @description A message to send. */
        NewMessage: {
            client_msg_id?: components["schemas"]["ClientMessageId"] | null;
            text: components["schemas"]["Text"];
        };
        /** @description A profile to store. */
        NewProfile: {
            full_name: string;
            profile_picture_url?: string | null;
        };
        /**
         * @description A MongoDB ObjectId: 24 hex characters, lower case in every answer
         * @example 507f1f77bcf86cd799439010
         */
        ObjectId: string;
        /** @description How far a session has come; to be named when a client comes back to it */
        Offset: string;
        /** @description With whom to talk, and perhaps about which horse. */
        OpenConversation: {
            horse_id?: components["schemas"]["ObjectId"] | null;
            recipient_id: components["schemas"]["ObjectId"];
        };
        /** @description What others see of a user. */
        Profile: {
            _id: components["schemas"]["ObjectId"];
            /** @example John Smith */
            full_name: string;
            profile_picture_url: string | null;
        };
        /** @description Another token of the same user. */
        RefreshToken: {
            token: string;
        };
        /** @description What a client that joins has already. */
        ResumeOptions: {
            /**
             * Format: int64
             * @description The newest message it has; 0 if it has none.
             */
            since_seq: number;
        };
        /** @description Whose tokens to revoke. */
        Revoke: {
            userId: components["schemas"]["ObjectId"];
        };
        /** @description Whose tokens were revoked, and when. */
        Revoked: {
            revoked_at: components["schemas"]["Timestamp"];
            userId: components["schemas"]["ObjectId"];
        };
        /** @description A message to send over a socket. */
        SendMessage: {
            client_msg_id?: components["schemas"]["ClientMessageId"] | null;
            conversation_id: components["schemas"]["ObjectId"];
            text: components["schemas"]["Text"];
        };
        /** @description A message as the caller has sent it. */
        SentMessage: {
            _id: components["schemas"]["ObjectId"];
            conversation_id: components["schemas"]["ObjectId"];
            /** @description There, and true, where the message had been sent before. */
            duplicate?: boolean;
            /** @description Whether the other participant has read it. */
            is_read: boolean;
            read_at: components["schemas"]["Timestamp"] | null;
            sender_id: components["schemas"]["ObjectId"];
            sent_at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Its place in the conversation: 1, 2, 3 … without gaps.
             */
            seq: number;
            text: components["schemas"]["Text"];
        };
        /** @description The server will soon close the connection. */
        ServerDraining: {
            /**
             * Format: int64
             * @description When to come back; another time for each client.
             */
            reconnect_after_ms: number;
        };
        /**
         * @description 1 to 2000 Unicode code points, not all of them white space, none of them U+0000; kept to the byte
         * @example Is this horse still available?
         */
        Text: string;
        /**
         * @description ISO 8601, UTC, with milliseconds
         * @example 2024-03-15T10:40:00.000Z
         */
        Timestamp: string;
        /** @description How long a token holds. */
        TokenTimes: {
            expires_at: components["schemas"]["Timestamp"];
        };
        /** @description Who types, or does so no more. */
        Typist: {
            conversation_id: components["schemas"]["ObjectId"];
            userId: components["schemas"]["ObjectId"];
        };
        /** @description How much is left to read. */
        UnreadUpdate: {
            conversation_id: components["schemas"]["ObjectId"];
            /**
             * Format: int64
             * @description In all conversations.
             */
            total_unread: number;
            /** Format: int64 */
            unread_count: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    revokeUser: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Revoke"];
            };
        };
        responses: {
            /** @description They are revoked */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["Revoked"];
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description The body is larger than 64 KiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    getStats: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Numbers by name */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: {
                            [key: string]: number;
                        };
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    openConsole: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The connection is a WebSocket from now on */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    getAsyncApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
        };
    };
    listConversations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["ListedConversation"][];
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    openConversation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OpenConversation"];
            };
        };
        responses: {
            /** @description It */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["Conversation"];
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Unknown, malformed, or not the caller's: not to be told apart */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description The body is larger than 64 KiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    listMessages: {
        parameters: {
            query?: {
                /** @description Page 1 has the newest messages */
                page?: number;
                /** @description Messages of a page */
                limit?: number;
                /** @description The messages after this one */
                after_seq?: number;
                /** @description The messages before this one, not together with `after_seq` */
                before_seq?: number;
                /** @description `false`: nothing becomes read */
                mark_read?: boolean;
            };
            header?: never;
            path: {
                /** @description The conversation */
                id: components["schemas"]["ObjectId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The page */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["Message"][];
                        has_more?: boolean;
                        /** @description The newest message of the conversation */
                        head_seq?: number;
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Unknown, malformed, or not the caller's: not to be told apart */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    sendMessage: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same as `client_msg_id` in the body */
                "Idempotency-Key"?: components["schemas"]["ClientMessageId"];
            };
            path: {
                /** @description The conversation */
                id: components["schemas"]["ObjectId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewMessage"];
            };
        };
        responses: {
            /** @description The message is committed */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["SentMessage"];
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Unknown, malformed, or not the caller's: not to be told apart */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description The `client_msg_id` stands for another text */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description The body is larger than 64 KiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description A fault of the server; nothing was changed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    deleteMessage: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The message */
                id: components["schemas"]["ObjectId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is deleted */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["MessageDeleted"];
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Unknown, malformed, or not the caller's: not to be told apart */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description A fault of the server; nothing was changed */
            500: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, never>;
                };
            };
        };
    };
    countUnread: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The number of messages */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {boolean} */
                        success: true;
                        unread_count: number;
                    };
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    putUser: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The user */
                id: components["schemas"]["ObjectId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewProfile"];
            };
        };
        responses: {
            /** @description As it is stored */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        data: components["schemas"]["Profile"];
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description The body is larger than 64 KiB */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    openWebSocket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The connection is a WebSocket from now on */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {string} */
                        status: "ok";
                        /** @enum {boolean} */
                        success: true;
                        /** @description How Postgres is set so that it may lose what was committed */
                        warnings?: string[];
                    };
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    headHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    getDatabaseHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @enum {string} */
                        status: "ok";
                        /** @enum {boolean} */
                        success: true;
                    };
                };
            };
            /** @description Not now; nothing was changed */
            503: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    echoWebSocket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The connection is a WebSocket from now on */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Something in the call breaks a rule */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenMetrics */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text": string;
                };
            };
            /** @description No token, or one that does not hold */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description Not this caller's to do */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            /** @description More than a user may ask for */
            429: {
                headers: {
                    /** @description In seconds */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
        };
    };
}

export type Schemas = components['schemas'];

/** An acknowledgement: `data` where it succeeds, `message` and `code` where it does not. */
export type Ack<Data = void> =
  | (Data extends void ? { success: true } : { success: true; data: Data })
  | Schemas['Failure'];

/** What clients send: the arguments, and the data of an acknowledgement that succeeds. */
export interface Calls {
  /** Hear what is said in a conversation, and get what was missed */
  join_conversation: { arguments: [argument: Schemas['ObjectId']] | [argument: Schemas['ObjectId'], options: Schemas['ResumeOptions']]; data: Schemas['Joined'] };
  /** Hear it no more */
  leave_conversation: { arguments: [argument: Schemas['ObjectId']]; data: void };
  /** Mark as read what the other has written */
  mark_read: { arguments: [argument: Schemas['MarkRead']]; data: void };
  /** Bring another token of the same user */
  refresh_token: { arguments: [argument: Schemas['RefreshToken']]; data: Schemas['TokenTimes'] };
  /** Send a message; the acknowledgement means committed */
  send_message: { arguments: [argument: Schemas['SendMessage']]; data: Schemas['Message'] };
  /** Or types no more */
  stop_typing: { arguments: [argument: Schemas['ObjectId']]; data: void };
  /** Show that the user types */
  typing: { arguments: [argument: Schemas['ObjectId']]; data: void };
}

export type ClientToServerEvents = {
  [E in keyof Calls]: (...args: [...Calls[E]['arguments'], ack?: (ack: Ack<Calls[E]['data']>) => void]) => void;
};

/** The offset is there for clients that recover. */
export interface ServerToClientEvents {
  /** It has expired: the connection is closed next */
  auth_expired: (payload: Schemas['TokenTimes'], offset?: string) => void;
  /** To every socket in the room: a message is not there any more */
  message_deleted: (payload: Schemas['MessageDeleted'], offset?: string) => void;
  /** To every socket of the recipient, in the room or not */
  message_notification: (payload: Schemas['MessageNotification'], offset?: string) => void;
  /** To every socket in the room: a participant has read */
  message_read: (payload: Schemas['MessageRead'], offset?: string) => void;
  /** To every socket in the room: a message is committed */
  new_message: (payload: Schemas['Message'], offset?: string) => void;
  /** Before a planned stop closes the connection */
  server_draining: (payload: Schemas['ServerDraining'], offset?: string) => void;
  /** One minute before the session's token expires */
  token_expiring: (payload: Schemas['TokenTimes'], offset?: string) => void;
  /** To every socket of who has read, or has less to read */
  unread_update: (payload: Schemas['UnreadUpdate'], offset?: string) => void;
  /** To every other socket in the room; by itself, too, after 6 s */
  user_stop_typing: (payload: Schemas['Typist'], offset?: string) => void;
  /** To every other socket in the room */
  user_typing: (payload: Schemas['Typist'], offset?: string) => void;
}
