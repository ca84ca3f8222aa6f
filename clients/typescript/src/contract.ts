// The contract itself: generated types, and stubs for who wants no more than gRPC gives.

export { BadRequest, ErrorInfo, RetryInfo } from "../../../gen/google/rpc/error_details.ts";
export { Status } from "../../../gen/google/rpc/status.ts";
export {
  Application,
  ApplicationServiceClient,
  type ApplicationServiceServer,
  ApplicationServiceService,
  CreateApplicationRequest,
  CreateApplicationResponse,
  DeleteApplicationRequest,
  DeleteApplicationResponse,
  GetApplicationRequest,
  GetApplicationResponse,
  ListApplicationsRequest,
  ListApplicationsResponse,
  UpdateApplicationRequest,
  UpdateApplicationResponse,
} from "../../../gen/parley/v1/application.ts";
export {
  Chat,
  Chat_AttributesEntry,
  ChatServiceClient,
  type ChatServiceServer,
  ChatServiceService,
  CreateChatRequest,
  CreateChatResponse,
  DeleteChatRequest,
  DeleteChatResponse,
  GetChatRequest,
  GetChatResponse,
  ListChatsRequest,
  ListChatsResponse,
} from "../../../gen/parley/v1/chat.ts";
export {
  ErrorDetails,
  ErrorReason,
} from "../../../gen/parley/v1/errors.ts";
export {
  BatchCreateMessagesRequest,
  BatchCreateMessagesResponse,
  CreateMessageRequest,
  CreateMessageResponse,
  DeleteMessageRequest,
  DeleteMessageResponse,
  GetMessageRequest,
  GetMessageResponse,
  ListMessagesRequest,
  ListMessagesResponse,
  Message,
  Message_AttributesEntry,
  MessageServiceClient,
  type MessageServiceServer,
  MessageServiceService,
  SearchMessagesRequest,
  SearchMessagesResponse,
  SearchMessagesResponse_Result,
  SearchMessagesResponse_Segment,
  UpdateMessageRequest,
  UpdateMessageResponse,
  WatchMessagesRequest,
  WatchMessagesResponse,
  WatchMessagesResponse_CaughtUp,
  WatchMessagesResponse_Heartbeat,
} from "../../../gen/parley/v1/message.ts";
export {
  NumberRange,
  State,
} from "../../../gen/parley/v1/state.ts";
