"""What reads documents: conversion to Markdown, pages and sections, pictures, archives."""
