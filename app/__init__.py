"""Outdial: a GraphQL server for outbound calling lists."""
